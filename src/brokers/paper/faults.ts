/** How a paper broker can be told to misbehave, so that an engine's answer to it can be seen. */
export const misbehaviorKinds = [
  /** An order, or a replacement, is accepted, and its answer is lost. */
  'drop_answer_after_accept',
  /** The request is carried out at once, its answer comes `ms` later. */
  'delay',
  /** An execution is told twice on the stream of order updates. */
  'duplicate_stream_event',
  /** Positions are told as they stood when this was asked for. */
  'stale_positions',
  /** Positions are told as none. */
  'empty_positions',
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
}

/** What was asked for and has not happened yet. */
export class Faults {
  #armed: { readonly fault: Misbehavior; left: number }[] = [];

  arm(fault: Misbehavior): void {
    this.#armed.push({ fault, left: fault.times ?? 1 });
  }

  /** The oldest fault of this kind that fits, counted as used; undefined where nothing is to go wrong. */
  take(kind: MisbehaviorKind, operation?: BrokerOperation): Misbehavior | undefined {
    const entry = this.#armed.find(
      ({ fault, left }) => left > 0 && fault.kind === kind && (fault.on === undefined || fault.on === operation),
    );
    if (entry === undefined) return undefined;
    entry.left -= 1;
    this.#armed = this.#armed.filter(({ left }) => left > 0);
    return entry.fault;
  }

  /** Whether the answer to what was just carried out gets lost. */
  takeDroppedAnswer(operation: BrokerOperation | undefined): boolean {
    const places = operation === 'submitOrder' || operation === 'replaceOrder';
    return places && this.take('drop_answer_after_accept', operation) !== undefined;
  }
}
