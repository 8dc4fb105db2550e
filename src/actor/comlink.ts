import type { MessagePort, Transferable } from 'node:worker_threads';
import { expose, type Remote, transfer, wrap } from 'comlink';

/*
 * Comlink speaks to browser ports and its types want DOM names; its own adapter for Node has no types that an ES module can
 * see. This file is the only one that knows either.
 */

/** Answers calls that arrive on `port` with the methods of `target`. What a method throws loses class and code: return answers. */
export function exposeOn(target: object, port: MessagePort): void {
  expose(target, endpoint(port));
}

/** The other end's methods. Keep it for as long as the port is used: once it is garbage-collected the other end stops listening. */
export function wrapPort<Target>(port: MessagePort): Remote<Target> {
  return wrap<Target>(endpoint(port));
}

/** Marks a port given as an argument to be moved to the other thread, not copied. */
export function moved<T extends Transferable>(value: T): T {
  return transfer(value, [value]);
}

type Listener = (event: { readonly data: unknown }) => void;

function endpoint(port: MessagePort): Parameters<typeof wrap>[0] {
  const listeners = new Map<unknown, (data: unknown) => void>();
  return {
    postMessage: (message: unknown, transfers: Transferable[] = []) => port.postMessage(message, transfers),
    addEventListener(_type: string, listener: unknown) {
      const call = listener as Listener;
      const onMessage = (data: unknown): void => call({ data });
      listeners.set(listener, onMessage);
      port.on('message', onMessage);
    },
    removeEventListener(_type: string, listener: unknown) {
      const onMessage = listeners.get(listener);
      if (onMessage !== undefined) port.off('message', onMessage);
      listeners.delete(listener);
    },
    start: () => port.start(),
  };
}
