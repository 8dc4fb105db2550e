import { createHash } from 'node:crypto';

/** At most this many characters, all of A-Z a-z 0-9 _ and -, so that every venue takes them. */
export const clientOrderIdLengthMax = 48;

/**
 * Client order ids of one engine: host, hash of the strategy's name, epoch, counter, joined by "-". An id tells whose order it is
 * even to an engine that lost every record of it, and none is ever given twice: epochs are unique for each opening of a state,
 * and the counter belongs to the opened state, so that a second engine on it goes on counting.
 */
export class ClientOrderIds {
  readonly #prefix: string;
  readonly #epoch: string;
  readonly #counter: { value: number };
  readonly #hashes = new Map<string, string>();
  readonly #strategies = new Map<string, string>();

  /** @param opened the opened state that the epoch belongs to */
  constructor(host: string, epoch: number, opened: object) {
    this.#prefix = hostPart(host);
    this.#epoch = epoch.toString(36);
    const counter = counters.get(opened) ?? { value: 0 };
    counters.set(opened, counter);
    this.#counter = counter;
  }

  next(strategy: string): string {
    this.#counter.value += 1;
    return `${this.#prefix}-${this.#hash(strategy)}-${this.#epoch}-${this.#counter.value.toString(36)}`;
  }

  /** Makes a strategy recognizable to {@link owner}. */
  know(strategy: string): void {
    this.#strategies.set(this.#hash(strategy), strategy);
  }

  /** The known strategy of this host that an order id was made for; undefined for an id of anybody else. */
  owner(orderId: string): string | undefined {
    const parts = orderId.split('-');
    if (parts.length !== 4 || parts[0] !== this.#prefix) return undefined;
    return this.#strategies.get(parts[1] ?? '');
  }

  #hash(strategy: string): string {
    let hash = this.#hashes.get(strategy);
    if (hash === undefined) {
      hash = digest(strategy, 12);
      this.#hashes.set(strategy, hash);
    }
    return hash;
  }
}

const counters = new WeakMap<object, { value: number }>();

/** A short plain name as it is; of any other a readable beginning and a hash, so that two hosts do not share a prefix. */
function hostPart(host: string): string {
  if (/^[A-Za-z0-9_]{1,10}$/.test(host)) return host;
  return `${host.replace(/[^A-Za-z0-9]/g, '').slice(0, 4)}${digest(host, 6)}`;
}

function digest(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}
