import { deltaLine, type SnapshotDelta } from '../model/delta.ts';
import { decodeError } from '../model/errors.ts';
import type { CheckpointDone, DataReply, DataRequest } from '../persistence/protocol.ts';
import type { DataPort } from './delta-port.ts';
import type { Post } from './host-books.ts';
import type { SharedWords } from './shared-words.ts';

/*
 * The engine's end of the data lane.
 *
 * D1  A delta stays here until it is acknowledged, whatever becomes of the worker that it was posted to.
 * D2  A worker gets every delta beyond what it restored, in order and once: first those kept here, then new ones.
 * D3  What an older incarnation still says is dropped.
 * D4  durableSequence never goes back.
 */

export interface DeltaBounds {
  /** While so many deltas are unacknowledged nothing more is posted. */
  readonly unacknowledgedDeltasMax: number;
  /** The same, by the entries and events in them. */
  readonly unacknowledgedEntriesMax: number;
}

export interface DeltaChannelHooks {
  acknowledged(sequence: number): void;
  writeFailed(through: number, error: Error): void;
  checkpointed(done: CheckpointDone): void;
  checkpointFailed(error: Error): void;
  notice(level: 'info' | 'warn' | 'error', message: string): void;
}

interface Unacknowledged {
  readonly post: Post;
  readonly entries: number;
}

export class DeltaChannel {
  readonly #words: SharedWords;
  readonly #bounds: DeltaBounds;
  readonly #hooks: DeltaChannelHooks;
  #port: DataPort | null = null;
  #incarnation = 0;
  /** Oldest first. */
  #unacknowledged: Unacknowledged[] = [];
  #entries = 0;
  #events = 0;
  #durable = 0;
  /** The last that the hook was told. */
  #announced = 0;
  /** What the words say counts from here on: below it they speak of a state that is not ours. */
  #wordsCountFrom = 0;
  #phase: string | null = null;

  constructor(words: SharedWords, bounds: DeltaBounds, hooks: DeltaChannelHooks) {
    this.#words = words;
    this.#bounds = bounds;
    this.#hooks = hooks;
  }

  get hasRoom(): boolean {
    this.#forget(this.durableSequence);
    return (
      this.#unacknowledged.length < this.#bounds.unacknowledgedDeltasMax &&
      this.#entries < this.#bounds.unacknowledgedEntriesMax
    );
  }

  get unacknowledgedEvents(): number {
    this.#forget(this.durableSequence);
    return this.#events;
  }

  /** Read from the shared words, so that it is true before the acknowledgement is taken from the port. */
  get durableSequence(): number {
    if (this.#port !== null) this.#learn(this.#words.durableSequence);
    return this.#durable;
  }

  /** Monotonic time of the oldest commit that was posted and is not durable; null where there is none. */
  get waitingSinceMs(): number | null {
    this.#forget(this.durableSequence);
    return this.#unacknowledged[0]?.post.sinceMs ?? null;
  }

  /** The last sequence given to send(); the durable one before the first. */
  get sentSequence(): number {
    return this.#unacknowledged.at(-1)?.post.delta.through ?? this.#durable;
  }

  /** Where kept deltas stand, oldest first: a worker that restored one of these, or what is durable, can go on from there. */
  connectsAt(sequence: number): boolean {
    if (this.#unacknowledged.length === 0) return sequence === this.#durable;
    return this.#unacknowledged.some(
      ({ post: { delta } }) => delta.previous === sequence || delta.through === sequence,
    );
  }

  /** Speaks to a worker that has everything up to `restored`, and posts again whatever is kept beyond it. */
  attach(port: DataPort, incarnation: number, restored: number): void {
    this.#listen(port, incarnation);
    this.#learn(restored);
    this.#forget(this.#durable);
    for (const { post } of this.#unacknowledged) this.#post(post.delta);
    // Last, because who hears of it may send more (D2).
    this.#announce();
  }

  /** Speaks to a worker that has something else, and begins with posts of which the first replaces it. Everything kept was taken back before. */
  attachAnew(port: DataPort, incarnation: number, wholes: readonly Post[]): void {
    this.#wordsCountFrom = wholes[0]?.delta.through ?? 0;
    this.#listen(port, incarnation);
    for (const post of wholes) this.send(post);
  }

  /** The worker has ended. What it acknowledged last is known, whether or not the message came. */
  detach(): void {
    this.#durable = this.durableSequence;
    this.#port?.close();
    this.#port = null;
  }

  /** Keeps a post until it is acknowledged, and posts it where a worker listens. */
  send(post: Post): void {
    const entries = countEntries(post.delta);
    this.#unacknowledged.push({ post, entries });
    this.#entries += entries;
    this.#events += post.events;
    this.#post(post.delta);
  }

  /** Takes back every post beyond `restored`, for a caller that sends their union in another form. */
  takeBack(restored: number): readonly Post[] {
    this.#forget(restored);
    const posts = this.#unacknowledged.map(({ post }) => post);
    this.#forget(Number.POSITIVE_INFINITY);
    return posts;
  }

  phase(phase: string): void {
    this.#phase = phase;
    this.#port?.postMessage({ kind: 'phase', incarnation: this.#incarnation, phase } satisfies DataRequest);
  }

  #listen(port: DataPort, incarnation: number): void {
    this.#port = port;
    this.#incarnation = incarnation;
    port.on('message', (reply: DataReply) => {
      if (reply.incarnation === this.#incarnation && port === this.#port) this.#take(reply);
    });
    if (this.#phase !== null) this.phase(this.#phase);
  }

  #post(delta: SnapshotDelta): void {
    this.#port?.postMessage({
      kind: 'delta',
      incarnation: this.#incarnation,
      through: delta.through,
      line: deltaLine(delta),
    } satisfies DataRequest);
  }

  #take(reply: DataReply): void {
    switch (reply.kind) {
      case 'acknowledged':
        this.#acknowledge(reply.sequence);
        break;
      case 'write_failed':
        this.#hooks.writeFailed(reply.through, decodeError(reply.error));
        break;
      case 'checkpointed':
        this.#hooks.checkpointed(reply.checkpoint);
        break;
      case 'checkpoint_failed':
        this.#hooks.checkpointFailed(decodeError(reply.error));
        break;
      case 'notice':
        this.#hooks.notice(reply.level, reply.message);
        break;
    }
  }

  #acknowledge(sequence: number): void {
    this.#learn(sequence);
    this.#forget(this.#durable);
    this.#announce();
  }

  #announce(): void {
    if (this.#durable <= this.#announced) return;
    this.#announced = this.#durable;
    this.#hooks.acknowledged(this.#durable);
  }

  #learn(durable: number): void {
    if (durable > this.#durable && durable >= this.#wordsCountFrom) this.#durable = durable;
  }

  #forget(through: number): void {
    let count = 0;
    for (; count < this.#unacknowledged.length; count += 1) {
      const { post, entries } = this.#unacknowledged[count] as Unacknowledged;
      if (post.delta.through > through) break;
      this.#entries -= entries;
      this.#events -= post.events;
    }
    if (count > 0) this.#unacknowledged.splice(0, count);
  }
}

function countEntries(delta: SnapshotDelta): number {
  let count = delta.marks?.length ?? 0;
  for (const each of delta.strategies) {
    count += 1 + size(each.positions) + size(each.positions_removed) + size(each.orders) + size(each.orders_removed);
    count += size(each.cash) + size(each.state) + size(each.state_removed) + size(each.events);
  }
  return count;
}

function size(list: readonly unknown[] | undefined): number {
  return list?.length ?? 0;
}
