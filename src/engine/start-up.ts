import type { After } from '../actor/timers.ts';
import type { BrokerAdapter } from '../brokers/adapter.ts';
import { BrokerError, HoldfastError, StateError } from '../model/errors.ts';
import type { HostState } from '../state/host-state.ts';
import type { Alerter } from './alert.ts';
import { Backoff, pause, unlessAborted } from './backoff.ts';
import { bookMissed, readMissed } from './catch-up.ts';
import { type OpeningBalance, readOpeningBalance } from './opening.ts';
import type { OrderDesk } from './order-desk.ts';
import type { TradingCore } from './trading-core.ts';

export interface StartUpOptions {
  readonly core: TradingCore;
  readonly desk: OrderDesk;
  readonly state: HostState;
  readonly broker: BrokerAdapter;
  readonly after: After;
  readonly random?: () => number;
  readonly alert: Alerter;
  /** Aborts at the deadline, or when the engine is stopped. */
  readonly signal: AbortSignal;
  readonly inTurn: (work: () => void) => Promise<void>;
}

/** How many orders are looked up at a time. */
const lookUpsMax = 8;
/** So often executions are read again while reports tell of more than there are. */
const behindRoundsMax = 5;

/**
 * What happens between restore and reconciliation.
 *
 * 1. Every order without an outcome becomes unknown and is looked up by its id.
 * 2. Books that never held anything are opened with what the account holds, so that from then on their sum is the account.
 *    Any others catch up: orders that changed, and executions after the cursor.
 *
 * Whatever cannot be read is tried again until the signal aborts; then start() rejects, and nothing was sent.
 */
export class StartUp {
  readonly #options: StartUpOptions;

  constructor(options: StartUpOptions) {
    this.#options = options;
  }

  /** Calls until it succeeds. @throws what cannot get better by waiting, or START_DEADLINE */
  async retry<T>(what: string, call: () => Promise<T>): Promise<T> {
    const { signal, after, random } = this.#options;
    const backoff = new Backoff(random === undefined ? {} : { random });
    let failure: unknown = null;
    while (!signal.aborted) {
      try {
        // An adapter that never answers must not keep the start beyond its deadline.
        const result = await unlessAborted(call, signal);
        if (!signal.aborted) return result as T;
      } catch (error) {
        if (!(error instanceof HoldfastError) || !error.retryable) throw error;
        if (failure === null && !signal.aborted) this.#tellWaiting(what, error);
        failure = error;
      }
      await pause(after, backoff.nextMs(failure), signal);
    }
    throw this.#aborted(what, failure);
  }

  /** Looks up every order without an outcome. Resolves with how many stay unknown. */
  async resolveUnknown(): Promise<number> {
    const { core, desk, signal, inTurn } = this.#options;
    const waiting = [...core.orders.unknown()];
    const lookUpNext = async (): Promise<void> => {
      for (let orderId = waiting.shift(); orderId !== undefined; orderId = waiting.shift()) {
        const verdict = await desk.settle(orderId, { signal });
        if (verdict.kind === 'aborted') throw this.#aborted(`looking up order ${orderId}`, verdict.error);
      }
    };
    await Promise.all(Array.from({ length: lookUpsMax }, lookUpNext));
    // The verdicts wait in line; what comes after this reads them applied.
    await inTurn(() => {});
    return core.orders.unknown().length;
  }

  /** Opens the account in books that never held anything. */
  async open(): Promise<void> {
    const { core, broker, alert } = this.#options;
    const opening = await this.retry('reading the opening balance', () => readOpeningBalance(broker));
    core.transact(() => bookOpening(core, opening));
    const { account, positions, orders } = opening;
    alert('info', 'ACCOUNT_OPENED', `account ${account.account_id} opened in UNASSIGNED with what the broker holds`, {
      details: { positions: positions.length, orders: orders.length },
    });
  }

  /** Books what was missed; resolves with how many executions that were. */
  async catchUp(): Promise<number> {
    const { core, broker, state, signal, after } = this.#options;
    let fills = 0;
    for (let round = 1; ; round += 1) {
      const missed = await this.retry('reading what was missed', () => {
        const { unassigned } = core.books;
        const cursor = unassigned.cursor();
        const known = cursor.activity_id !== null || cursor.at !== null || unassigned.get(openedKey) !== undefined;
        // Books that were not opened here and have no cursor hold what was executed until they were saved.
        return readMissed(broker, core.orders, known ? cursor : { activity_id: null, at: state.recovery.timestamp });
      });
      const booked = bookMissed(core, missed, broker.capabilities.settleMs);
      fills += booked.fills;
      // What cannot be booked has halted the engine: it comes up, and trades nothing.
      if (!booked.complete) return fills;
      if (!core.orders.behind || round >= behindRoundsMax) return fills;
      await pause(after, 200 * round, signal);
    }
  }

  #tellWaiting(what: string, error: HoldfastError): void {
    const { alert, broker } = this.#options;
    const message = `${what}: ${broker.name} gives no answer, and is asked again until the deadline of the start: ${error.message}`;
    alert('warn', 'START_WAITING', message, { error });
  }

  #aborted(what: string, cause: unknown): HoldfastError {
    if (this.#options.signal.reason instanceof HoldfastError) return this.#options.signal.reason;
    return new BrokerError(
      'START_DEADLINE',
      `${what}: ${this.#options.broker.name} gave no answer before the deadline; nothing was sent. Start again when it answers`,
      { cause, retryable: true },
    );
  }
}

function bookOpening(core: TradingCore, { account, positions, orders, cursor }: OpeningBalance): void {
  const { unassigned } = core.books;
  for (const { asset, amount, cost_basis, currency, last_price } of positions) {
    core.ledger.adjustPosition(unassigned, asset, amount, cost_basis, {
      ...(currency === null ? {} : { currency }),
      ...(last_price === null ? {} : { lastPrice: last_price }),
    });
    core.adjustments.cover({ asset }, cursor.at, null);
  }
  for (const [currency, amount] of Object.entries(account.cash)) {
    core.ledger.adjustCash(unassigned, amount, currency);
    core.adjustments.cover({ currency }, cursor.at, null);
  }
  for (const report of orders) core.orders.adopt(report);
  core.moveCursor(cursor);
  // An account without any activity has no cursor yet, and all of its executions are still to come.
  unassigned.set(openedKey, core.now());
  unassigned.addEvent({
    kind: 'note',
    name: 'account_opened',
    data: { account_id: account.account_id, positions: positions.length, orders: orders.length },
    at: core.now(),
  });
}

const openedKey = 'opened';

/** What a start that was stopped rejects with. */
export function stoppedWhileStarting(): StateError {
  return new StateError('ENGINE_STOPPED', 'the engine was stopped before it traded; nothing was sent');
}
