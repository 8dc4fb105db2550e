import { describe, expect, it } from 'vitest';
import { Puppet, type Rig, type RigOptions, rig, trade } from '../support/engine-rig.ts';
import { FakeBroker, rejected, unreachable } from '../support/fake-broker.ts';
import { memoryHostState } from '../support/memory-host-state.ts';

const limitBuy = { asset: 'AAPL', amount: '10', type: 'limit', limitPrice: '100' } as const;

interface Desk extends Rig {
  readonly puppet: Puppet;
  submit(): Promise<string>;
  replace(orderId: string, amount: string): Promise<string>;
  cancel(orderId: string): Promise<void>;
}

async function desk(options: RigOptions = {}): Promise<Desk> {
  const puppet = new Puppet('alpha');
  const made = rig({ strategies: [puppet], ...options });
  await made.start();
  const does = async (action: Parameters<Puppet['next']>[0]): Promise<void> => {
    puppet.next(action);
    await made.trade('AAPL', '100');
  };
  return {
    ...made,
    puppet,
    async submit() {
      let orderId = '';
      await does((context) => {
        orderId = context.submit(limitBuy);
      });
      return orderId;
    },
    async replace(old, amount) {
      let orderId = '';
      await does((context) => {
        orderId = context.replace(old, { amount });
      });
      return orderId;
    },
    cancel: (orderId) => does((context) => context.cancel(orderId)),
  };
}

describe('a cancel', () => {
  it('ends a live order by the broker’s word', async () => {
    const { submit, cancel, order, puppet } = await desk();
    const orderId = await submit();
    await cancel(orderId);
    expect(order('alpha', orderId)).toBeUndefined();
    expect(puppet.heard.slice(1)).toEqual(['order open', 'order pending_cancel', 'order canceled']);
  });

  it('of an order that has not left means that it never leaves', async () => {
    const state = memoryHostState({ autoDurable: false });
    const { submit, cancel, order, puppet, broker, idle } = await desk({ state });
    const orderId = await submit();
    await cancel(orderId);
    expect(order('alpha', orderId)).toBeUndefined();
    expect(puppet.heard.slice(1)).toEqual(['order canceled']);
    state.makeDurable();
    await idle();
    expect(broker.called('submitOrder')).toBe(0);
  });

  it('in the handler that submitted it means the same', async () => {
    const { puppet, trade, broker, state } = await desk();
    puppet.next((context) => context.cancel(context.submit(limitBuy)));
    await trade('AAPL', '100');
    expect(broker.called('submitOrder')).toBe(0);
    expect(state.register('alpha').orders()).toEqual([]);
    expect(puppet.heard.slice(1)).toEqual(['order canceled']);
  });

  it('of an order under way waits until the broker has shown it', async () => {
    const { submit, cancel, order, broker, idle } = await desk();
    broker.next('submitOrder', { kind: 'hold' });
    const orderId = await submit();
    await cancel(orderId);
    expect(broker.called('cancelOrder')).toBe(0);
    expect(order('alpha', orderId)?.status).toBe('pending');
    broker.release();
    await idle();
    expect(broker.called('cancelOrder')).toBe(1);
    expect(order('alpha', orderId)).toBeUndefined();
  });

  it('of an order that is rejected meanwhile is forgotten', async () => {
    const { submit, cancel, order, broker, idle } = await desk();
    broker.next('submitOrder', { kind: 'hold', error: rejected() });
    const orderId = await submit();
    await cancel(orderId);
    broker.release();
    await idle();
    expect(broker.called('cancelOrder')).toBe(0);
    expect(order('alpha', orderId)).toBeUndefined();
  });

  it('of an unknown order follows once that is found', async () => {
    const { submit, cancel, order, broker, idle } = await desk();
    broker.next('submitOrder', { kind: 'lost' });
    broker.next('fetchOrder', { kind: 'hold' });
    const orderId = await submit();
    await cancel(orderId);
    expect(order('alpha', orderId)?.status).toBe('unknown');
    broker.release();
    await idle();
    expect(broker.called('cancelOrder')).toBe(1);
    expect(order('alpha', orderId)).toBeUndefined();
  });

  it('that comes too late leaves the fill, and the order ends as filled', async () => {
    const { submit, cancel, order, position, broker } = await desk();
    const orderId = await submit();
    broker.fill(orderId, { silent: true });
    await cancel(orderId);
    expect(order('alpha', orderId)).toBeUndefined();
    expect(position('alpha', 'AAPL')).toBe('10');
  });

  it('that is refused gives the order its status back', async () => {
    const { submit, cancel, order, broker, idle } = await desk();
    const orderId = await submit();
    broker.fill(orderId, { amount: '1' });
    await idle();
    broker.next('cancelOrder', { kind: 'fail', error: rejected('too late to cancel') });
    await cancel(orderId);
    expect(order('alpha', orderId)).toMatchObject({ status: 'partially_filled', filled_amount: '1' });
  });

  it('is asked again while the broker does not answer, and an alert tells when it never does', async () => {
    const { submit, cancel, order, broker, pass, alerted } = await desk();
    const orderId = await submit();
    broker.next('cancelOrder', ...Array.from({ length: 6 }, () => ({ kind: 'fail', error: unreachable() }) as const));
    await cancel(orderId);
    await pass(60_000);
    expect(broker.called('cancelOrder')).toBe(6);
    expect(order('alpha', orderId)?.status).toBe('pending_cancel');
    expect(alerted('CANCEL_UNANSWERED')).toHaveLength(1);
    await cancel(orderId);
    expect(order('alpha', orderId)).toBeUndefined();
  });

  it('of an order that is final already is nothing', async () => {
    const { submit, cancel, broker, idle, alerts } = await desk();
    const orderId = await submit();
    broker.fill(orderId);
    await idle();
    await cancel(orderId);
    expect(broker.called('cancelOrder')).toBe(0);
    expect(alerts.filter(({ level }) => level !== 'info')).toEqual([]);
  });
});

describe('a replacement', () => {
  it('takes the place of a live order under an id of its own', async () => {
    const { submit, replace, order, puppet, state } = await desk();
    const old = await submit();
    const replacement = await replace(old, '7');
    expect(order('alpha', old)).toBeUndefined();
    expect(order('alpha', replacement)).toMatchObject({
      status: 'open',
      amount: '7',
      limit_price: '100',
      replaces: old,
    });
    expect(state.register('alpha').orders()).toHaveLength(1);
    expect(puppet.heard.slice(1).sort()).toEqual(['order open', 'order open', 'order replaced']);
  });

  it('that is refused leaves the old order as it was', async () => {
    const { submit, replace, order, broker } = await desk();
    const old = await submit();
    broker.next('replaceOrder', { kind: 'fail', error: rejected('no') });
    const replacement = await replace(old, '7');
    expect(order('alpha', replacement)).toBeUndefined();
    expect(order('alpha', old)).toMatchObject({ status: 'open', amount: '10' });
  });

  it('whose answer is lost is found by its id, and exists once', async () => {
    const { submit, replace, order, broker } = await desk();
    const old = await submit();
    broker.next('replaceOrder', { kind: 'lost' });
    const replacement = await replace(old, '7');
    expect(order('alpha', old)).toBeUndefined();
    expect(order('alpha', replacement)).toMatchObject({ status: 'open', amount: '7' });
    expect(broker.called('replaceOrder')).toBe(1);
  });

  it('that never arrived is rejected, and the old order lives', async () => {
    const { submit, replace, order, broker, pass } = await desk();
    const old = await submit();
    broker.next('replaceOrder', { kind: 'fail', error: unreachable() });
    const replacement = await replace(old, '7');
    expect(order('alpha', replacement)?.status).toBe('unknown');
    await pass(5000);
    expect(order('alpha', replacement)).toBeUndefined();
    expect(order('alpha', old)?.status).toBe('open');
  });

  it('of an order that is filled first comes too late', async () => {
    const { submit, replace, order, position, broker } = await desk();
    const old = await submit();
    broker.fill(old, { silent: true });
    const replacement = await replace(old, '7');
    expect(order('alpha', old)).toBeUndefined();
    expect(order('alpha', replacement)).toBeUndefined();
    expect(position('alpha', 'AAPL')).toBe('10');
  });

  it('keeps the fills of the old order, whichever word comes first', async () => {
    const { submit, replace, order, position, broker, idle, pass } = await desk();
    const old = await submit();
    broker.holdStream();
    broker.fill(old, { amount: '3' });
    const replacement = await replace(old, '7');
    broker.releaseStream((held) => held.reverse());
    await idle();
    await pass(1000);
    expect(order('alpha', old)).toBeUndefined();
    expect(position('alpha', 'AAPL')).toBe('3');
    expect(order('alpha', replacement)?.status).toBe('open');
  });

  it('of an order under way waits until the broker has shown it', async () => {
    const { submit, replace, order, broker, idle } = await desk();
    broker.next('submitOrder', { kind: 'hold' });
    const old = await submit();
    const replacement = await replace(old, '7');
    expect(broker.called('replaceOrder')).toBe(0);
    broker.release();
    await idle();
    expect(order('alpha', old)).toBeUndefined();
    expect(order('alpha', replacement)?.status).toBe('open');
  });

  it('of an order that is rejected is never sent', async () => {
    const { submit, replace, order, broker, idle } = await desk();
    broker.next('submitOrder', { kind: 'hold', error: rejected() });
    const old = await submit();
    const replacement = await replace(old, '7');
    expect(order('alpha', replacement)?.status).toBe('pending');
    broker.release();
    await idle();
    expect(order('alpha', replacement)).toBeUndefined();
    expect(broker.called('replaceOrder')).toBe(0);
  });

  it('is refused where it cannot be', async () => {
    const broker = new FakeBroker({ capabilities: { replace: false } });
    const { submit, replace, alerted } = await desk({ broker });
    await replace(await submit(), '7');
    expect(alerted('ORDER_REFUSED')[0]?.message).toContain('cannot replace');
    const other = await desk();
    const orderId = await other.submit();
    other.broker.next('replaceOrder', { kind: 'hold' });
    await other.replace(orderId, '7');
    await other.replace(orderId, '8');
    expect(other.alerted('ORDER_REFUSED')[0]?.message).toContain('pending_replace');
  });
});

describe('an order whose report is ahead of its executions', () => {
  it('stays open until they are read, and is final then', async () => {
    const { submit, order, position, broker, idle, pass } = await desk();
    const orderId = await submit();
    broker.holdStream();
    broker.fill(orderId, { amount: '4' });
    const [first] = broker.fills;
    broker.fills.length = 0;
    const ended = broker.end(orderId, 'canceled');
    broker.releaseStream(() => [[ended, null]]);
    await idle();
    expect(order('alpha', orderId)).toMatchObject({ status: 'open', filled_amount: '0' });
    expect(position('alpha', 'AAPL')).toBe('0');
    if (first !== undefined) broker.fills.push(first);
    await pass(5000);
    expect(order('alpha', orderId)).toBeUndefined();
    expect(position('alpha', 'AAPL')).toBe('4');
  });

  it('catches up after a gap in the stream', async () => {
    const { submit, order, position, broker, idle } = await desk();
    const orderId = await submit();
    broker.disconnect();
    broker.fill(orderId, { amount: '4' });
    broker.end(orderId, 'expired');
    await idle();
    expect(position('alpha', 'AAPL')).toBe('0');
    broker.reconnect();
    await idle();
    expect(position('alpha', 'AAPL')).toBe('4');
    expect(order('alpha', orderId)).toBeUndefined();
  });

  it('finds the owner of an execution that names only the broker’s id, though its order is unknown', async () => {
    const { submit, order, position, broker, idle, pass } = await desk();
    broker.next('submitOrder', { kind: 'lost' });
    broker.next('fetchOrder', { kind: 'hang' });
    const orderId = await submit();
    broker.disconnect();
    const fill = broker.fill(orderId, { amount: '4' });
    broker.fills[0] = { ...fill, order_id: null };
    const open = broker.orders.get(orderId);
    broker.next('fetchOpenOrders', { kind: 'fail', error: unreachable() });
    broker.orders.delete(orderId);
    broker.next('fetchOrder', { kind: 'hold' });
    broker.reconnect();
    await pass(1000);
    if (open !== undefined) broker.orders.set(orderId, { ...open, status: 'canceled' });
    broker.release();
    await idle();
    expect(position('alpha', 'AAPL')).toBe('4');
    expect(position('UNASSIGNED', 'AAPL')).toBe('0');
    expect(order('alpha', orderId)).toBeUndefined();
  });

  it('catches up with retries while the broker does not answer', async () => {
    const { submit, position, broker, idle, pass, alerted } = await desk();
    const orderId = await submit();
    broker.disconnect();
    broker.fill(orderId, { amount: '4' });
    broker.next('fetchFills', { kind: 'fail', error: unreachable() }, { kind: 'fail', error: unreachable() });
    broker.reconnect();
    await idle();
    expect(position('alpha', 'AAPL')).toBe('0');
    await pass(5000);
    expect(position('alpha', 'AAPL')).toBe('4');
    expect(alerted('CATCH_UP_FAILED')).toHaveLength(1);
  });
});

describe('orders of others', () => {
  it('are kept in UNASSIGNED, with their fills', async () => {
    const { broker, idle, order, position } = await desk();
    const foreign = broker.placeElsewhere('TSLA', '5');
    broker.tell(foreign, null);
    await idle();
    expect(order('UNASSIGNED', foreign.order_id ?? '')).toMatchObject({ status: 'open' });
    broker.fill(foreign.order_id ?? '');
    await idle();
    expect(position('UNASSIGNED', 'TSLA')).toBe('5');
    expect(order('UNASSIGNED', foreign.order_id ?? '')).toBeUndefined();
  });
});

describe('an order that was given up', () => {
  it('and lives halts its strategy when it shows itself', async () => {
    const { puppet, trade, broker, state, pass, alerted, idle, order } = await desk();
    broker.next('submitOrder', { kind: 'fail', error: unreachable() });
    let orderId = '';
    puppet.next((context) => {
      orderId = context.submit(limitBuy);
    });
    await trade('AAPL', '100');
    await pass(5000);
    expect(order('alpha', orderId)).toBeUndefined();
    broker.tell(broker.placeElsewhere('AAPL', '10', orderId), null);
    await idle();
    expect(order('alpha', orderId)?.status).toBe('open');
    expect(alerted('ORDER_RESURFACED')).toHaveLength(1);
    expect(state.register('alpha').halt?.source).toBe('engine');
  });
});

describe('more than the engine can take at once', () => {
  it('of order updates is read from the broker instead', async () => {
    const { submit, broker, idle, position, alerted } = await desk({ mailboxCapacity: 4 });
    const orderId = await submit();
    for (let i = 0; i < 8; i += 1) broker.fill(orderId, { amount: '1' });
    await idle();
    expect(alerted('UPDATES_DROPPED').length).toBeGreaterThan(0);
    expect(position('alpha', 'AAPL')).toBe('8');
  });

  it('of market events makes the feed wait, and none is lost', async () => {
    const { puppet, market, idle } = await desk({ mailboxCapacity: 4 });
    let heard = 0;
    puppet.onTrade = () => {
      heard += 1;
    };
    for (let i = 0; i < 1000; i += 1) market.push(trade('AAPL', String(i + 1)));
    for (let i = 0; i < 1000 && heard < 1000; i += 1) await idle();
    expect(heard).toBe(1000);
  });

  it('of executions from the stream has the cursor moved, before their ids are forgotten', async () => {
    const { puppet, trade: tick, broker, idle, state } = await desk();
    let orderId = '';
    puppet.next((context) => {
      orderId = context.submit({ asset: 'AAPL', amount: '5000' });
    });
    await tick('AAPL', '100');
    const reads = broker.called('fetchFills');
    for (let i = 0; i < 1001; i += 1) broker.fill(orderId, { amount: '1' });
    for (let i = 0; i < 300 && broker.called('fetchFills') === reads; i += 1) await idle();
    await idle();
    expect(broker.called('fetchFills')).toBeGreaterThan(reads);
    expect(Number(state.register('UNASSIGNED').cursor().activity_id)).toBeGreaterThanOrEqual(1000);
  });

  it('of them while none can be read halts, before one could count twice', async () => {
    const { puppet, trade: tick, broker, idle, engine } = await desk();
    let orderId = '';
    puppet.next((context) => {
      orderId = context.submit({ asset: 'AAPL', amount: '9000' });
    });
    await tick('AAPL', '100');
    broker.next('fetchOpenOrders', ...Array.from({ length: 100 }, () => ({ kind: 'hang' }) as const));
    for (let i = 0; i < 3200; i += 1) broker.fill(orderId, { amount: '1' });
    for (let i = 0; i < 1000 && engine.phase.kind === 'trading'; i += 1) await idle();
    expect(engine.phase).toMatchObject({ kind: 'halted', source: 'engine' });
  });
});
