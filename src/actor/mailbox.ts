import { performance } from 'node:perf_hooks';

export interface MailboxOptions {
  /** How many messages may wait. */
  readonly capacity: number;
  /** A slice ends after so long, so that timers, sockets and acknowledgements have their turn. Default 2. */
  readonly sliceMs?: number;
  /** And after so many messages. Default 1,024. */
  readonly sliceCount?: number;
  /** Called with what `handle` threw; the rest goes on. Must not throw itself. */
  readonly onError: (error: unknown) => void;
  /** Called at the end of each slice, in the same turn of the event loop as its messages. */
  readonly onSliceEnd?: () => void;
  /** Called when the last message that waited has been handled. */
  readonly onIdle?: () => void;
  /** A clock that never goes back. */
  readonly monotonicMs?: () => number;
}

/**
 * A bounded queue in front of one handler on this thread: first in, first out, one message at a time, never inside the call that
 * posted it. Messages are handled in slices, one slice for each turn of the event loop. Posting costs no promise; a full mailbox
 * says so, and what to do then (wait, drop, conflate, refuse) is for the sender to choose.
 */
export class Mailbox<T> {
  readonly capacity: number;
  readonly #handle: (message: T) => void;
  readonly #options: Required<MailboxOptions>;
  /** A ring that grows to the capacity by doubling. */
  #ring: (T | undefined)[] = new Array(16);
  #head = 0;
  #size = 0;
  #scheduled = false;
  #closed = false;
  readonly #waitingForRoom: ((open: boolean) => void)[] = [];
  readonly #waitingForIdle: (() => void)[] = [];

  /** @param handle must not return a promise: nobody would wait for it */
  constructor(handle: (message: T) => void, options: MailboxOptions) {
    if (!Number.isSafeInteger(options.capacity) || options.capacity < 1) {
      throw new RangeError(`mailbox capacity: expected a whole number from 1, got ${options.capacity}`);
    }
    this.capacity = options.capacity;
    this.#handle = handle;
    this.#options = {
      sliceMs: 2,
      sliceCount: 1024,
      onSliceEnd: () => {},
      onIdle: () => {},
      monotonicMs: () => performance.now(),
      ...options,
    };
  }

  /** Messages that wait. */
  get size(): number {
    return this.#size;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Queues a message. False: it is full or closed, and the message was not taken. */
  post(message: T): boolean {
    if (this.#closed || this.#size === this.capacity) return false;
    if (this.#size === this.#ring.length) this.#grow();
    this.#ring[this.#place(this.#size)] = message;
    this.#size += 1;
    this.#schedule();
    return true;
  }

  /**
   * For a sender that waits: resolves with true when at most half of the capacity is used (at once where that is so), and with
   * false when the mailbox is closed. Somebody else may have filled it again: post again, and look at its answer.
   */
  room(): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
    if (this.#hasRoom()) return Promise.resolve(true);
    return new Promise((resolve) => this.#waitingForRoom.push(resolve));
  }

  /** Resolves when nothing waits any more, messages that are posted meanwhile included. */
  drain(): Promise<void> {
    if (this.#size === 0 && !this.#scheduled) return Promise.resolve();
    return new Promise((resolve) => this.#waitingForIdle.push(resolve));
  }

  /** Takes no more messages; resolves when those taken have been handled. */
  close(): Promise<void> {
    this.#closed = true;
    for (const resolve of this.#waitingForRoom.splice(0)) resolve(false);
    return this.drain();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#slice);
  }

  readonly #slice = (): void => {
    const { sliceMs, sliceCount, monotonicMs, onError, onSliceEnd, onIdle } = this.#options;
    let readMs = monotonicMs();
    const endMs = readMs + sliceMs;
    let left = Math.min(sliceCount, this.#size);
    let stride = 1;
    let unread = 0;
    try {
      do {
        const message = this.#take();
        left -= 1;
        try {
          this.#handle(message);
        } catch (error) {
          onError(error);
        }
        unread += 1;
        if (unread < stride) continue;
        const nowMs = monotonicMs();
        if (nowMs >= endMs) break;
        stride = nextStride(stride, (nowMs - readMs) / sliceMs);
        readMs = nowMs;
        unread = 0;
      } while (left > 0);
      onSliceEnd();
      if (this.#size === 0) onIdle();
    } finally {
      this.#scheduled = false;
      if (this.#size > 0) this.#schedule();
      else for (const resolve of this.#waitingForIdle.splice(0)) resolve();
      if (this.#hasRoom()) for (const resolve of this.#waitingForRoom.splice(0)) resolve(true);
    }
  };

  #take(): T {
    const message = this.#ring[this.#head] as T;
    // The ring must not keep a handled message alive.
    this.#ring[this.#head] = undefined;
    this.#head = this.#place(1);
    this.#size -= 1;
    return message;
  }

  /** Where in the ring the message is that has so many before it. */
  #place(offset: number): number {
    const index = this.#head + offset;
    return index < this.#ring.length ? index : index - this.#ring.length;
  }

  #hasRoom(): boolean {
    return this.#size <= this.capacity / 2;
  }

  #grow(): void {
    const ring = new Array<T | undefined>(Math.min(this.#ring.length * 2, this.capacity));
    for (let index = 0; index < this.#size; index += 1) {
      ring[index] = this.#ring[this.#place(index)];
    }
    this.#ring = ring;
    this.#head = 0;
  }
}

/**
 * After how many messages the clock is read again: reading it costs as much as a message that changes nothing. While messages take
 * long it is read after each.
 * @param share of a slice that passed since it was read
 */
function nextStride(stride: number, share: number): number {
  return share < 1 / strideMax ? Math.min(2 * stride, strideMax) : 1;
}

const strideMax = 8;
