import { closeSync, openSync, writeSync } from 'node:fs';
import { ConfigError } from '../../model/errors.ts';

/** Tells an outside process what is durable: a line "ack SEQUENCE" for each advance, with the operating system when write() returns. */
export class AckWriter {
  readonly #fd: number;
  readonly #own: boolean;
  #last = 0;
  #error: Error | null = null;

  /**
   * @param target a file, to whose end lines are added, or "-" for standard output
   * @throws ConfigError LOAD_OPTIONS_INVALID where the file cannot be opened
   */
  constructor(target: string) {
    this.#own = target !== '-';
    this.#fd = this.#own ? opened(target) : process.stdout.fd;
  }

  /** What kept a line from being written; nothing is written after it. */
  get error(): Error | null {
    return this.#error;
  }

  write(sequence: number): void {
    if (sequence <= this.#last || this.#error !== null) return;
    this.#last = sequence;
    const line = Buffer.from(`ack ${sequence}\n`);
    let written = 0;
    while (written < line.length && this.#error === null) written += this.#try(line.subarray(written));
  }

  close(): void {
    if (this.#own) closeSync(this.#fd);
  }

  /** A pipe that is full and does not block says EAGAIN: whoever reads it sets the pace. */
  #try(bytes: Uint8Array): number {
    try {
      return writeSync(this.#fd, bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') {
        Atomics.wait(waited, 0, 0, 1);
        return 0;
      }
      this.#error = error as Error;
      return 0;
    }
  }
}

function opened(path: string): number {
  try {
    return openSync(path, 'a', 0o600);
  } catch (cause) {
    throw new ConfigError(
      'LOAD_OPTIONS_INVALID',
      `load --acks ${path}: cannot be written: ${(cause as Error).message}`,
      { cause, details: { path: 'acks' } },
    );
  }
}

const waited = new Int32Array(new SharedArrayBuffer(4));
