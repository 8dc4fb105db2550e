import { WebSocket } from 'ws';
import { z } from 'zod';
import { updateJson } from './alpaca-json-activities.ts';
import type { PaperExchange } from './exchange.ts';
import { authorized, type PaperKeys } from './http.ts';

const messageSchema = z.union([
  z.object({ action: z.literal('auth'), key: z.string(), secret: z.string() }),
  // The older form, which the real one still takes.
  z.object({
    action: z.literal('authenticate'),
    data: z.object({ key_id: z.string(), secret_key: z.string() }),
  }),
  z.object({ action: z.literal('listen'), data: z.object({ streams: z.array(z.string()) }) }),
]);

/** More than this unsent means that nobody reads: the socket is dropped, and its owner comes back and catches up. */
const unsentBytesMax = 16 * 1024 * 1024;
const authWithinMs = 10_000;

/** Serves one socket of the account's stream: authentication, then listening, then trade_updates. Ends by itself with the socket. */
export function serveAccountStream(socket: WebSocket, exchange: PaperExchange, keys: PaperKeys, binary: boolean): void {
  let known = false;
  let listening = false;
  const send = (message: object) => {
    if (socket.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount > unsentBytesMax) socket.terminate();
    else socket.send(Buffer.from(JSON.stringify(message)), { binary });
  };
  const unauthorized = () => {
    send({ stream: 'authorization', data: { action: 'authenticate', status: 'unauthorized' } });
    socket.close();
  };
  const limit = setTimeout(unauthorized, authWithinMs);
  const unsubscribe = exchange.subscribe({
    update(update) {
      if (listening) send({ stream: 'trade_updates', data: updateJson(exchange, update) });
    },
    disconnect: () => socket.terminate(),
  });
  socket.on('message', (data) => {
    const message = messageSchema.safeParse(parseJson(String(data)));
    if (!message.success) {
      send({ stream: 'error', data: { error: 'invalid message' } });
      return;
    }
    if (message.data.action !== 'listen') {
      const given =
        message.data.action === 'auth'
          ? [message.data.key, message.data.secret]
          : [message.data.data.key_id, message.data.data.secret_key];
      known = authorized(keys, given[0], given[1]);
      if (!known) return unauthorized();
      clearTimeout(limit);
      send({ stream: 'authorization', data: { action: 'authenticate', status: 'authorized' } });
      return;
    }
    if (!known) return unauthorized();
    const streams = message.data.data.streams.filter((stream) => stream === 'trade_updates');
    listening = streams.length > 0;
    send({ stream: 'listening', data: { streams } });
  });
  socket.on('error', () => socket.terminate());
  socket.on('close', () => {
    clearTimeout(limit);
    unsubscribe();
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
