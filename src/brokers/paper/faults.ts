import { ConfigError } from '../../model/errors.ts';

/** How a paper broker can be told to misbehave, so that an engine's answer to it can be seen. */
export const misbehaviorKinds = [
  /** An order, or a replacement, is accepted, and its answer is lost; with `on: "cancelOrder"`, a cancelation. */
  'drop_answer_after_accept',
  /** The request is carried out at once, its answer comes `ms` later: by then it may be older than another one. */
  'delay',
  /** An execution is told twice on the stream of order updates. */
  'duplicate_stream_event',
  /** An update on the stream comes after the one that follows it. */
  'reorder_stream_events',
  /** Positions are told as they stood when this was asked for. */
  'stale_positions',
  /** Positions are told as none. */
  'empty_positions',
  /** A list is told as empty: of positions, open orders or fills. */
  'empty_page',
  /** A list breaks off in its middle: of positions, open orders or fills. */
  'partial_page',
  /** A list is told without `asset`, or without that of its first entry. */
  'omit_symbol',
  /** The request is refused for its rate and not carried out; it may come again after `ms`. */
  'http_429',
  /** The request fails inside the broker and is not carried out. */
  'http_500',
  /** Streams of order updates are cut, at once. */
  'disconnect',
] as const;
export type MisbehaviorKind = (typeof misbehaviorKinds)[number];

export const brokerOperations = [
  'submitOrder',
  'cancelOrder',
  'replaceOrder',
  'fetchAccount',
  'fetchPositions',
  'fetchOpenOrders',
  'fetchOrder',
  'fetchFills',
  'fetchActivities',
] as const;
export type BrokerOperation = (typeof brokerOperations)[number];

export interface Misbehavior {
  readonly kind: MisbehaviorKind;
  /** How often, default once. */
  readonly times?: number;
  /** Milliseconds, for delay and http_429; default 1,000. */
  readonly ms?: number;
  /** Only for this operation; for any where absent. */
  readonly on?: BrokerOperation;
  /** Whose entries `omit_symbol` leaves out. */
  readonly asset?: string;
}

/** What was asked for and has not happened yet. */
export class Faults {
  #armed: { readonly fault: Misbehavior; left: number }[] = [];

  /** @throws ConfigError MISBEHAVIOR_INVALID: a fault that never happens would let a test pass that tests nothing */
  arm(fault: Misbehavior): void {
    const { kind, on } = fault;
    if (!(misbehaviorKinds as readonly string[]).includes(kind)) throw invalid('kind', misbehaviorKinds, kind);
    if (on !== undefined && !(brokerOperations as readonly string[]).includes(on)) {
      throw invalid('on', brokerOperations, on);
    }
    this.#armed.push({ fault, left: fault.times ?? 1 });
  }

  /** The oldest fault of this kind that fits, counted as used; undefined where nothing is to go wrong. */
  take(kind: MisbehaviorKind, operation?: BrokerOperation): Misbehavior | undefined {
    return this.#take(kind, (fault) => fault.on === undefined || fault.on === operation);
  }

  /** What is armed and how often it will still happen. */
  armed(): readonly Misbehavior[] {
    return this.#armed.map(({ fault, left }) => ({ ...fault, times: left }));
  }

  /** Nothing is to go wrong any more. */
  clear(): void {
    this.#armed = [];
  }

  /** Whether the answer to what was just carried out gets lost. */
  takeDroppedAnswer(operation: BrokerOperation | undefined): boolean {
    const places = operation === 'submitOrder' || operation === 'replaceOrder';
    const named = ({ on }: Misbehavior) => on === operation;
    return (
      this.#take('drop_answer_after_accept', (fault) => (fault.on === undefined ? places : named(fault))) !== undefined
    );
  }

  /** The list as a reader gets it. */
  list<T>(operation: BrokerOperation, items: readonly T[], assetOf: (item: T) => string): readonly T[] {
    if (this.take('empty_page', operation) !== undefined) return [];
    if (this.take('partial_page', operation) !== undefined) return items.slice(0, Math.floor(items.length / 2));
    const omitted = this.take('omit_symbol', operation);
    if (omitted === undefined) return items;
    const [first] = items;
    const asset = omitted.asset ?? (first === undefined ? null : assetOf(first));
    return items.filter((item) => assetOf(item) !== asset);
  }

  #take(kind: MisbehaviorKind, fits: (fault: Misbehavior) => boolean): Misbehavior | undefined {
    const entry = this.#armed.find(({ fault, left }) => left > 0 && fault.kind === kind && fits(fault));
    if (entry === undefined) return undefined;
    entry.left -= 1;
    this.#armed = this.#armed.filter(({ left }) => left > 0);
    return entry.fault;
  }
}

function invalid(field: string, expected: readonly string[], got: unknown): ConfigError {
  return new ConfigError(
    'MISBEHAVIOR_INVALID',
    `misbehave(), ${field}: expected one of ${expected.join(', ')}, got ${JSON.stringify(got) ?? String(got)}`,
    { details: { path: field } },
  );
}
