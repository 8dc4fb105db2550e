import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decimal, decimalString, zero } from '../../src/model/money.ts';
import { isFinal } from '../../src/model/order.ts';
import type { Snapshot } from '../../src/model/snapshot.ts';
import { Puppet, type Rig, reborn, rig } from '../support/engine-rig.ts';
import { FakeBroker, unreachable } from '../support/fake-broker.ts';
import { memoryHostState } from '../support/memory-host-state.ts';

/** One thing that happens. Numbers choose among what there is, and nothing happens where there is nothing. */
type Step =
  | { readonly do: 'submit'; readonly asset: string; readonly amount: string }
  | { readonly do: 'cancel' | 'replace'; readonly pick: number }
  | { readonly do: 'fill'; readonly pick: number; readonly share: number; readonly fee: string; readonly price: string }
  | { readonly do: 'retell'; readonly pick: number }
  | { readonly do: 'scramble' | 'disconnect' | 'reconnect' | 'crash' | 'hold' | 'idle' | 'durable' }
  | { readonly do: 'lose'; readonly call: 'submitOrder' | 'replaceOrder' | 'cancelOrder' }
  | { readonly do: 'deny'; readonly call: 'submitOrder' | 'replaceOrder' | 'fetchFills' | 'fetchOrder' };

const pick = fc.nat(20);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('submit' as const),
      asset: fc.constantFrom('AAPL', 'MSFT'),
      amount: fc.constantFrom('10', '-7', '2.5'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('cancel' as const, 'replace' as const), pick }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('fill' as const),
      pick,
      share: fc.integer({ min: 1, max: 4 }),
      fee: fc.constantFrom('0', '0.35', '-0.01'),
      price: fc.constantFrom('100', '99.99', '101.125'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('retell' as const), pick }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('scramble', 'disconnect', 'reconnect', 'crash', 'hold', 'idle', 'durable'),
    }) as fc.Arbitrary<Step>,
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('lose' as const),
      call: fc.constantFrom('submitOrder' as const, 'replaceOrder' as const, 'cancelOrder' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('deny' as const),
      call: fc.constantFrom(
        'submitOrder' as const,
        'replaceOrder' as const,
        'fetchFills' as const,
        'fetchOrder' as const,
      ),
    }),
  },
);

describe('whatever is lost, doubled, reordered, or crashes', () => {
  it('leaves quantity and cash exactly as the broker has them, and one order for each intent', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), fc.boolean(), async (steps, autoDurable) => {
        const story = new Story(new FakeBroker({ cash: { USD: '1000000' } }), autoDurable);
        await story.begin();
        for (const each of steps) await story.happen(each);
        await story.end();
        story.check();
      }),
      { numRuns: Number(process.env['RUNS'] ?? 80) },
    );
  }, 120_000);
});

class Story {
  readonly #broker: FakeBroker;
  readonly #submitted = new Set<string>();
  readonly #autoDurable: boolean;
  #life: Rig;
  #puppet: Puppet;
  #durable: Snapshot;
  #epoch = 1;

  /** @param autoDurable true: every commit survives a crash. False: those up to the last `durable` step do. */
  constructor(broker: FakeBroker, autoDurable: boolean) {
    this.#broker = broker;
    this.#autoDurable = autoDurable;
    this.#puppet = new Puppet('alpha', { initialCash: { USD: '1000' } });
    this.#life = rig({ broker, strategies: [this.#puppet], state: memoryHostState({ autoDurable }) });
    this.#durable = this.#life.engine.snapshot();
  }

  async begin(): Promise<void> {
    await this.#life.start();
    await this.#makeDurable();
  }

  async happen(step: Step): Promise<void> {
    const broker = this.#broker;
    switch (step.do) {
      case 'submit':
        return this.#act((context) => this.#submitted.add(context.submit({ asset: step.asset, amount: step.amount })));
      case 'cancel':
        return this.#act((context) => {
          const order = chosen(context.orders(), step.pick);
          if (order !== undefined) context.cancel(order.order_id);
        });
      case 'replace':
        return this.#act((context) => {
          const order = chosen(context.orders(), step.pick);
          if (order !== undefined)
            this.#submitted.add(
              context.replace(order.order_id, { amount: decimalString(decimal(order.amount).times(2)) }),
            );
        });
      case 'fill': {
        const order = chosen(
          [...broker.orders.values()].filter(({ status }) => !isFinal(status)),
          step.pick,
        );
        if (order?.order_id == null) return;
        const left = decimal(order.amount).minus(order.filled_amount);
        const amount = decimalString(left.div(step.share).toDecimalPlaces(4));
        broker.fill(order.order_id, { amount, fee: step.fee, price: step.price });
        return;
      }
      case 'retell': {
        const fill = chosen(broker.fills, step.pick);
        const report = fill === undefined ? undefined : broker.orders.get(fill.order_id ?? '');
        if (fill !== undefined && report !== undefined)
          broker.tell({ ...report, status: 'open', filled_amount: '0' }, fill);
        return;
      }
      case 'hold':
        return broker.holdStream();
      case 'scramble':
        return broker.releaseStream((held) => held.reverse());
      case 'disconnect':
        return broker.disconnect();
      case 'reconnect':
        return broker.reconnect();
      case 'lose':
        return broker.next(step.call, { kind: 'lost' });
      case 'deny':
        return broker.next(step.call, { kind: 'fail', error: unreachable() });
      case 'durable':
        return this.#makeDurable();
      case 'idle':
        return this.#life.idle();
      case 'crash':
        return this.#crash();
    }
  }

  async end(): Promise<void> {
    this.#broker.releaseStream();
    this.#broker.reconnect();
    await this.#makeDurable();
    await this.#life.pass(20_000);
    await this.#crash();
    await this.#makeDurable();
    await this.#life.pass(1000);
  }

  check(): void {
    const { state, alerts } = this.#life;
    const books = state.strategies().map((name) => state.register(name));
    const assets = ['AAPL', 'MSFT'];
    for (const asset of assets) {
      const ours = books.reduce((sum, book) => sum.plus(book.position(asset)?.amount ?? '0'), zero);
      const theirs = this.#broker.fills
        .filter((fill) => fill.asset === asset)
        .reduce((sum, fill) => sum.plus(fill.amount), zero);
      expect(decimalString(ours), asset).toBe(decimalString(theirs));
    }
    const cash = books.reduce((sum, book) => sum.plus(book.cash()), zero);
    expect(decimalString(cash)).toBe(this.#broker.cash.get('USD'));
    // All of it is alpha's: nothing of ours was taken for somebody else's.
    expect(state.register('UNASSIGNED').positions()).toEqual([]);
    expect(alerts.filter(({ code }) => code === 'ENGINE_FAULT' || code === 'ORDER_RESURFACED')).toEqual([]);
    for (const orderId of this.#broker.orders.keys()) expect(this.#submitted).toContain(orderId);
    const live = [...this.#broker.orders.values()].filter(({ status }) => !isFinal(status));
    const kept = state.register('alpha').orders();
    expect(kept.map(({ order_id }) => order_id).sort()).toEqual(live.map(({ order_id }) => order_id).sort());
    for (const order of kept) {
      expect(order.filled_amount).toBe(
        decimalString(decimal(this.#broker.orders.get(order.order_id)?.filled_amount ?? '-1')),
      );
    }
  }

  async #act(action: Parameters<Puppet['next']>[0]): Promise<void> {
    this.#puppet.next((context) => void action(context));
    await this.#life.trade('AAPL', '100');
  }

  /** What is durable leaves, and what comes of it is not durable yet. */
  async #makeDurable(): Promise<void> {
    this.#durable = this.#life.engine.snapshot();
    this.#life.state.makeDurable();
    await this.#life.idle();
  }

  async #crash(): Promise<void> {
    this.#broker.crashEngine();
    this.#puppet = new Puppet('alpha', { initialCash: { USD: '1000' } });
    const kept = this.#autoDurable ? this.#life.engine.snapshot() : this.#durable;
    this.#epoch += 1;
    const state = reborn(kept, { epoch: this.#epoch, autoDurable: this.#autoDurable });
    this.#life = rig({ broker: this.#broker, state, strategies: [this.#puppet] });
    await this.#life.start();
    expect(this.#life.engine.phase.kind).toBe('trading');
  }
}

function chosen<T>(from: readonly T[], pick: number): T | undefined {
  return from[pick % Math.max(1, from.length)];
}
