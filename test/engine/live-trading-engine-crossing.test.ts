import { describe, expect, it } from 'vitest';
import type { StrategyContext } from '../../src/engine/strategy.ts';
import { Puppet, type Rig, reborn, rig } from '../support/engine-rig.ts';
import { FakeBroker } from '../support/fake-broker.ts';

interface Scene extends Rig {
  readonly puppet: Puppet;
  sell(amount: string): Promise<string>;
  requests(): (string | null)[];
}

/** A strategy that holds 10 AAPL, at a venue that takes no order through zero. */
async function long(crossing: 'whole' | 'split' = 'split'): Promise<Scene> {
  const broker = new FakeBroker({ capabilities: { crossing } });
  const puppet = new Puppet('alpha');
  const made = rig({ broker, strategies: [puppet] });
  await made.start();
  const act = async (action: (context: StrategyContext) => string): Promise<string> => {
    let orderId = '';
    puppet.next((context) => {
      orderId = action(context);
    });
    await made.trade('AAPL', '100');
    return orderId;
  };
  broker.fill(await act((context) => context.submit({ asset: 'AAPL', amount: '10' })));
  await made.idle();
  const requests = () =>
    broker.calls
      .filter(({ name }) => name === 'submitOrder')
      .map(({ id }) => broker.orders.get(id ?? '')?.amount ?? null);
  return { ...made, puppet, requests, sell: (amount) => act((context) => context.submit({ asset: 'AAPL', amount })) };
}

describe('an order that goes through zero', () => {
  it('is one where the venue takes it', async () => {
    const { sell, requests } = await long('whole');
    await sell('-15');
    expect(requests()).toEqual(['10', '-15']);
  });

  it('is two intents where it does not: the second leaves once the first has closed the position', async () => {
    const { sell, requests, broker, idle, position, state } = await long();
    const first = await sell('-15');
    const [, second] = state.register('alpha').orders();
    expect(requests()).toEqual(['10', '-10']);
    expect(state.register('alpha').orders()).toMatchObject([
      { order_id: first, amount: '-10', status: 'open' },
      { amount: '-5', status: 'pending' },
    ]);
    broker.fill(first, { amount: '-4' });
    await idle();
    expect(requests()).toEqual(['10', '-10']);
    broker.fill(first);
    await idle();
    expect(requests()).toEqual(['10', '-10', '-5']);
    broker.fill(second?.order_id ?? '');
    await idle();
    expect(position('alpha', 'AAPL')).toBe('-5');
  });

  it('opens nothing where the first ends in another way', async () => {
    const { sell, requests, broker, idle, state, puppet } = await long();
    broker.end(await sell('-15'), 'canceled');
    await idle();
    expect(requests()).toEqual(['10', '-10']);
    expect(state.register('alpha').orders()).toEqual([]);
    expect(puppet.heard.filter((heard) => heard === 'order canceled')).toHaveLength(2);
  });

  it('counts what other orders close already, and is refused where they close all', async () => {
    const { sell, requests, state, alerted } = await long();
    await sell('-4');
    await sell('-8');
    expect(requests()).toEqual(['10', '-4', '-6']);
    expect(
      state
        .register('alpha')
        .orders()
        .map(({ amount }) => amount),
    ).toEqual(['-4', '-6', '-2']);
    await sell('-1');
    expect(requests()).toEqual(['10', '-4', '-6']);
    expect(alerted('ORDER_REFUSED')).toHaveLength(1);
  });

  it('is refused as a replacement, with what to do instead; one that stays on its side is taken', async () => {
    const { state, broker, puppet, trade, alerted } = await long();
    let old = '';
    puppet.next((context) => {
      old = context.submit({ asset: 'AAPL', amount: '-6', type: 'limit', limitPrice: '120' });
    });
    await trade('AAPL', '100');
    puppet.next((context) => context.replace(old, { amount: '-11' }) && undefined);
    await trade('AAPL', '100');
    expect(alerted('ORDER_REFUSED')[0]?.message).toMatch(/replacement .* through zero.* cancel it and submit/);
    expect(broker.called('replaceOrder')).toBe(0);
    expect(state.register('alpha').orders()).toMatchObject([{ order_id: old, status: 'open', amount: '-6' }]);
    puppet.next((context) => context.replace(old, { amount: '-10' }) && undefined);
    await trade('AAPL', '100');
    expect(state.register('alpha').orders()).toMatchObject([{ amount: '-10', replaces: old }]);
  });

  it('is taken back by a stop, and looked up but not sent by the next life', async () => {
    const stopped = await long();
    await stopped.sell('-15');
    const ended = stopped.engine.stop();
    await stopped.pass(1000);
    await ended;
    expect(stopped.state.register('alpha').orders()).toMatchObject([{ amount: '-10', status: 'open' }]);
    const crashed = await long();
    const first = await crashed.sell('-15');
    crashed.broker.crashEngine();
    const next = rig({ broker: crashed.broker, state: reborn(crashed.engine.snapshot()) });
    await next.start();
    expect(next.state.register('alpha').orders()).toMatchObject([{ order_id: first, status: 'open' }]);
    expect(crashed.requests()).toEqual(['10', '-10']);
  });
});
