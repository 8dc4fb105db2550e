import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { TextRingReader } from '../actor/text-ring.ts';
import type { DataReply, DataRequest } from './protocol.ts';

/** A reply as the service makes it: the lane adds the incarnation. */
export type DataReplyBody = DataReply extends infer Reply
  ? Reply extends DataReply
    ? Omit<Reply, 'incarnation'>
    : never
  : never;

/**
 * A turn takes no more messages than this. An engine that posts as fast as this thread takes would otherwise keep a turn open for
 * ever, and nothing of it would become durable.
 */
export const turnMessagesMax = 1_024;

export interface ServiceDataLaneHooks {
  /** @param line as {@link DataRequest} has it */
  readonly onDelta: (line: string) => void;
  readonly onPhase: (phase: string) => void;
  readonly onTurnEnd: () => void;
}

/**
 * The worker's end of the data lane. Messages come in turns: a turn is everything that waited, up to {@link turnMessagesMax}, so that
 * what arrived during one fdatasync shares the next. Messages of another incarnation are dropped.
 *
 * Deltas come through the ring, and those that had no room in it by the port. Each says what it comes after: one in the ring by the last
 * that went by the port, and one by the port by its own sequence. While deltas come this thread looks at the ring in each turn of its event
 * loop; where none came it sleeps, and has itself woken.
 */
export class ServiceDataLane {
  readonly #port: MessagePort;
  readonly #ring: TextRingReader | null;
  readonly #incarnation: number;
  readonly #hooks: ServiceDataLaneHooks;
  /** `through` of the last delta that came by the port. */
  #posted = 0;
  #next: NodeJS.Immediate | null = null;
  #closed = false;

  /** @param ring null: everything comes by the port */
  constructor(port: MessagePort, ring: SharedArrayBuffer | null, incarnation: number, hooks: ServiceDataLaneHooks) {
    this.#port = port;
    this.#ring = ring === null ? null : new TextRingReader(ring);
    this.#incarnation = incarnation;
    this.#hooks = hooks;
  }

  listen(): void {
    this.#port.on('message', (message: DataRequest) => {
      this.#take(message);
      this.#turn();
    });
  }

  /** Takes what waits, then ends the turn: for within long work, so that acknowledgements go on. */
  pump(): void {
    this.#takeWaiting();
    // Who was to wake this thread may have been heard just now, so that it has to look again by itself.
    this.#turnLater();
  }

  post(reply: DataReplyBody): void {
    this.#port.postMessage({ ...reply, incarnation: this.#incarnation } satisfies DataReply);
  }

  close(): void {
    this.#closed = true;
    if (this.#next !== null) clearImmediate(this.#next);
    this.#port.close();
  }

  #turn(): void {
    this.#takeWaiting();
    if (this.#ring?.sleep() === false) this.#turnLater();
  }

  #turnLater(): void {
    if (this.#ring === null || this.#next !== null || this.#closed) return;
    this.#ring.wake();
    this.#next = setImmediate(() => {
      this.#next = null;
      this.#turn();
    });
  }

  #takeWaiting(): void {
    for (let taken = 0; taken < turnMessagesMax; taken += 1) if (!this.#takeOne()) break;
    this.#hooks.onTurnEnd();
  }

  /** False where nothing waits. */
  #takeOne(): boolean {
    const ring = this.#ring;
    if (ring?.hasNext && ring.after <= this.#posted) {
      this.#hooks.onDelta(ring.take());
      return true;
    }
    const waiting = receiveMessageOnPort(this.#port);
    if (waiting === undefined) return false;
    this.#take(waiting.message as DataRequest);
    return true;
  }

  #take(request: DataRequest): void {
    if (request.incarnation !== this.#incarnation) return;
    if (request.kind === 'phase') this.#hooks.onPhase(request.phase);
    if (request.kind !== 'delta') return;
    const ring = this.#ring;
    while (ring?.hasNext && ring.place < request.through) this.#hooks.onDelta(ring.take());
    this.#posted = request.through;
    this.#hooks.onDelta(request.line);
  }
}
