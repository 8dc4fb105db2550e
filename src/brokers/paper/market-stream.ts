import { WebSocket } from 'ws';
import type { MarketEvent } from '../../model/market.ts';

/** The one message of the market stream that is not an array of market events: no more will come, and why where it broke off. */
export interface TapeEnded {
  readonly kind: 'ended';
  readonly error: string | null;
}

/** A follower with more than this unsent makes an infinitely fast tape wait. */
const congestedBytes = 1024 * 1024;
/** A follower with more than this unsent has stopped reading, and is dropped. */
const unsentBytesMax = 64 * 1024 * 1024;

/** Tells everybody who follows what the market does: each message is a JSON array of market events, in order. */
export class MarketStream {
  readonly #sockets = new Set<WebSocket>();
  #ended: TapeEnded | null = null;

  /** From now on; what was told before is not told again. */
  serve(socket: WebSocket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.terminate());
    if (this.#ended !== null) this.#send(socket, JSON.stringify(this.#ended));
  }

  tell(events: readonly MarketEvent[]): void {
    if (this.#sockets.size === 0) return;
    const text = JSON.stringify(events);
    for (const socket of this.#sockets) this.#send(socket, text);
  }

  end(error: string | null): void {
    this.#ended = { kind: 'ended', error };
    const text = JSON.stringify(this.#ended);
    for (const socket of this.#sockets) this.#send(socket, text);
  }

  get followers(): number {
    return this.#sockets.size;
  }

  congested(): boolean {
    return [...this.#sockets].some((socket) => socket.bufferedAmount > congestedBytes);
  }

  #send(socket: WebSocket, text: string): void {
    if (socket.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount > unsentBytesMax) socket.terminate();
    else socket.send(text);
  }
}
