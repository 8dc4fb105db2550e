import { MessagePort } from 'node:worker_threads';
import { decodeError, StateError, type WireError } from '../model/errors.ts';
import { moved, wrapPort } from './comlink.ts';
import type { ThreadEnd } from './thread.ts';

/** What a method of a control lane resolves with: errors are values, because Comlink loses their class, code and cause. */
export type Answered<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: WireError };

type Method<Control, Name extends keyof Control> = Control[Name] extends (
  ...args: infer Arguments
) => Promise<Answered<infer Value>>
  ? { readonly arguments: Arguments; readonly value: Value }
  : never;

export interface Asker<Control> {
  /**
   * Calls a method on the other thread. A MessagePort among the arguments is moved there. Resolves with the value answered.
   * @throws the error answered, with its class and code; StateError WORKER_ENDED when the thread ended without an answer, ASKER_CLOSED after close()
   */
  ask<Name extends keyof Control & string>(
    name: Name,
    ...args: Method<Control, Name>['arguments']
  ): Promise<Method<Control, Name>['value']>;
  /** How many calls are not settled. */
  readonly pending: number;
  /** Closes the port. Calls that are pending then reject. */
  close(): void;
}

/** Calls over `port`, each raced with the end of the thread behind it: alone, a call to a thread that is gone never settles. */
export function createAsker<Control extends object>(port: MessagePort, end: ThreadEnd): Asker<Control> {
  return new PortAsker<Control>(port, end);
}

class PortAsker<Control extends object> implements Asker<Control> {
  readonly #port: MessagePort;
  readonly #end: ThreadEnd;
  readonly #remote: unknown;
  readonly #rejects: Set<(error: Error) => void> = new Set();
  #stopListening: (() => void) | null = null;
  #closed = false;

  constructor(port: MessagePort, end: ThreadEnd) {
    this.#port = port;
    this.#end = end;
    this.#remote = wrapPort<Control>(port);
  }

  get pending(): number {
    return this.#rejects.size;
  }

  ask<Name extends keyof Control & string>(
    name: Name,
    ...args: Method<Control, Name>['arguments']
  ): Promise<Method<Control, Name>['value']> {
    type Value = Method<Control, Name>['value'];
    return new Promise<Value>((resolve, reject) => {
      if (this.#closed) throw new StateError('ASKER_CLOSED', `${name}: the control lane is closed; start a new thread`);
      if (this.#end.cause !== null) throw this.#end.cause;
      this.#begin(reject);
      // A Comlink proxy that is garbage-collected tells the other end to stop listening: these reactions hold `this`, and so it.
      this.#call(name, args).then(
        (answer) => {
          if (!this.#settle(reject)) return;
          if (answer.ok) resolve(answer.value as Value);
          else reject(decodeError(answer.error));
        },
        (error: unknown) => {
          if (this.#settle(reject)) reject(error);
        },
      );
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#rejectAll(new StateError('ASKER_CLOSED', 'the control lane was closed before the call was answered'));
    this.#port.close();
  }

  async #call(name: string, args: readonly unknown[]): Promise<Answered<unknown>> {
    const remote = this.#remote as Readonly<Record<string, (...args: unknown[]) => Promise<Answered<unknown>>>>;
    const method = remote[name];
    if (method === undefined) throw new StateError('ASKER_CLOSED', `${name}: the control lane is closed`);
    return await method(...args.map((argument) => (argument instanceof MessagePort ? moved(argument) : argument)));
  }

  #begin(reject: (error: Error) => void): void {
    this.#rejects.add(reject);
    this.#stopListening ??= this.#end.onEnd((cause) => this.#ended(cause));
  }

  /** False where the call was settled already. */
  #settle(reject: (error: Error) => void): boolean {
    const first = this.#rejects.delete(reject);
    if (this.#rejects.size === 0) this.#rest();
    return first;
  }

  /**
   * The end of a thread can be heard before the last that it said, since they come by different ways. What it said was there when it
   * ended, so the event loop takes it within the turn that follows this one.
   */
  #ended(cause: Error): void {
    setImmediate(() => setImmediate(() => this.#rejectAll(cause)));
  }

  #rejectAll(error: Error): void {
    const rejects = [...this.#rejects];
    this.#rejects.clear();
    this.#rest();
    for (const reject of rejects) reject(error);
  }

  #rest(): void {
    this.#stopListening?.();
    this.#stopListening = null;
  }
}
