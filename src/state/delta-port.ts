import type { MessagePort } from 'node:worker_threads';
import { TextRingWriter } from '../actor/text-ring.ts';
import type { DataReply, DataRequest } from '../persistence/protocol.ts';

/** The engine's end of the data lane, as a message port has it. */
export interface DataPort {
  postMessage(request: DataRequest): void;
  on(event: 'message', listener: (reply: DataReply) => void): unknown;
  close(): void;
}

/**
 * A message port whose deltas go through a ring in shared memory where they have room there. A post to a thread costs the sender a clone and
 * mostly a system call; a text in the ring costs its bytes, and a post only where the worker sleeps.
 */
export class DeltaPort implements DataPort {
  readonly #port: MessagePort;
  readonly #ring: TextRingWriter;
  /** `through` of the last delta that went by the port. */
  #posted = 0;

  constructor(port: MessagePort, ring: SharedArrayBuffer) {
    this.#port = port;
    this.#ring = new TextRingWriter(ring);
  }

  postMessage(request: DataRequest): void {
    if (request.kind === 'delta') {
      const { through, line, incarnation } = request;
      if (this.#ring.write(line, through, this.#posted)) {
        if (this.#ring.claimWake()) this.#port.postMessage({ kind: 'wake', incarnation } satisfies DataRequest);
        return;
      }
      this.#posted = through;
    }
    this.#port.postMessage(request);
  }

  on(event: 'message', listener: (reply: DataReply) => void): void {
    this.#port.on(event, listener);
  }

  close(): void {
    this.#port.close();
  }
}
