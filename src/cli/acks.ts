import { closeSync, openSync, writeSync } from 'node:fs';
import { ConfigError } from '../model/errors.ts';

/** Tells an outside process what is durable: a line "ack SEQUENCE" for each advance, with the operating system when write() returns. */
export class AckWriter {
  readonly #target: string;
  readonly #fd: number;
  #last = -1;
  #error: ConfigError | null = null;

  /**
   * @param target a file, to whose end lines are added, or "-" for standard output
   * @throws ConfigError ACKS_FILE where the file cannot be opened
   */
  constructor(target: string) {
    this.#target = target;
    this.#fd = target === '-' ? process.stdout.fd : opened(target);
  }

  /** ACKS_FILE: what kept a line from being written; nothing is written after it. */
  get error(): ConfigError | null {
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
    if (this.#target !== '-') closeSync(this.#fd);
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
      this.#error = unwritable(this.#target, error);
      return 0;
    }
  }
}

function opened(path: string): number {
  try {
    return openSync(path, 'a', 0o600);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

function unwritable(target: string, cause: unknown): ConfigError {
  const message = `--acks ${target}: cannot be written: ${(cause as Error).message}. Give a file on a disk with room, or a reader that stays`;
  return new ConfigError('ACKS_FILE', message, { cause, details: { path: target } });
}

const waited = new Int32Array(new SharedArrayBuffer(4));
