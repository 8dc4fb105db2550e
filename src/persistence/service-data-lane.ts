import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
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

/**
 * The worker's end of the data lane. Messages come in turns: a turn is everything that waited, up to {@link turnMessagesMax}, so that
 * what arrived during one fdatasync shares the next. Messages of another incarnation are dropped.
 */
export class ServiceDataLane {
  readonly #port: MessagePort;
  readonly #incarnation: number;
  readonly #onRequest: (request: DataRequest) => void;
  readonly #onTurnEnd: () => void;

  constructor(
    port: MessagePort,
    incarnation: number,
    hooks: { readonly onRequest: (request: DataRequest) => void; readonly onTurnEnd: () => void },
  ) {
    this.#port = port;
    this.#incarnation = incarnation;
    this.#onRequest = hooks.onRequest;
    this.#onTurnEnd = hooks.onTurnEnd;
  }

  listen(): void {
    this.#port.on('message', (message: DataRequest) => {
      this.#take(message);
      this.pump();
    });
  }

  /** Takes what waits, then ends the turn. Also called from within long work, so that acknowledgements go on. */
  pump(): void {
    for (let taken = 0; taken < turnMessagesMax; taken += 1) {
      const waiting = receiveMessageOnPort(this.#port);
      if (waiting === undefined) break;
      this.#take(waiting.message as DataRequest);
    }
    this.#onTurnEnd();
  }

  post(reply: DataReplyBody): void {
    this.#port.postMessage({ ...reply, incarnation: this.#incarnation } satisfies DataReply);
  }

  close(): void {
    this.#port.close();
  }

  #take(request: DataRequest): void {
    if (request.incarnation === this.#incarnation) this.#onRequest(request);
  }
}
