import type { DataRequest, PersistenceStatus } from '../../persistence/protocol.ts';
import {
  type PersistenceThread,
  type StartPersistence,
  startPersistenceThread,
} from '../../state/persistence-thread.ts';
import { TimeQueue } from './time-queue.ts';

/** Looks at what passes to the persistence worker, and changes nothing of it. */
export class PersistenceTap {
  #thread: PersistenceThread | null = null;
  #posts = 0;
  #entries = 0;
  #through = 0;
  #starts = 0;
  readonly #inFlight = new TimeQueue();
  readonly #unread: (DataRequest & { readonly kind: 'delta' })[] = [];

  /** How many workers there were: each counts from zero. */
  get starts(): number {
    return this.#starts;
  }

  /** Deltas posted; what a replaced worker is sent again does not count. */
  get posts(): number {
    return this.#posts;
  }

  /** Positions in them. */
  get entries(): number {
    this.#read();
    return this.#entries;
  }

  /** Deltas posted and not yet durable, where `durable` is the durable sequence. */
  inFlight(durable: number): number {
    this.forget(durable);
    return this.#inFlight.size;
  }

  /** Keeps nothing of the deltas up to here, which are durable: call it now and then, or what is kept grows with every post. */
  forget(durable: number): void {
    this.#read();
    this.#inFlight.takeThrough(durable, ignore);
  }

  readonly start: StartPersistence = (start) => {
    const thread = startPersistenceThread(start);
    const post = thread.data.postMessage.bind(thread.data);
    thread.data.postMessage = (message: DataRequest): void => {
      post(message);
      this.#count(message);
    };
    this.#thread = thread;
    this.#starts += 1;
    return thread;
  };

  /** What the worker has done since it started. */
  async status(): Promise<PersistenceStatus | null> {
    return this.#thread === null ? null : await this.#thread.control.ask('status');
  }

  #count(message: DataRequest): void {
    if (message.kind !== 'delta' || message.through <= this.#through) return;
    this.#through = message.through;
    this.#posts += 1;
    // Read when somebody asks: what is in them is no part of what a post costs.
    this.#unread.push(message);
  }

  #read(): void {
    for (const { through, line } of this.#unread) {
      this.#inFlight.push(through, 0);
      this.#entries += positionsIn(line);
    }
    this.#unread.length = 0;
  }
}

/** Each position names its asset once; reading the line as JSON would weigh on the thread that is measured. */
function positionsIn(line: string): number {
  let count = 0;
  for (let at = line.indexOf(asset); at >= 0; at = line.indexOf(asset, at + asset.length)) count += 1;
  return count;
}

const asset = '"asset":';

function ignore(): void {}
