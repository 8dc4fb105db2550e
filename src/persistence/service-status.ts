import { encodeError } from '../model/errors.ts';
import type { FileSystem } from './file-system.ts';
import { type StatusFile, writeStatus } from './status-file.ts';

/** Writes status.json over and over. That it can't is said once, until it can again: nothing that must be true depends on it. */
export class ServiceStatus {
  readonly #options: {
    readonly fs: FileSystem;
    readonly directory: string;
    readonly everyMs: number;
    readonly after: (ms: number, run: () => void) => () => void;
    readonly status: () => StatusFile;
    readonly notice: (message: string) => void;
  };
  #cancel: () => void = () => {};
  #failing = false;

  constructor(options: {
    readonly fs: FileSystem;
    readonly directory: string;
    readonly everyMs: number;
    readonly after: (ms: number, run: () => void) => () => void;
    readonly status: () => StatusFile;
    readonly notice: (message: string) => void;
  }) {
    this.#options = options;
  }

  /** Writes it now and from then on every `everyMs`. */
  start(): void {
    this.write();
    this.#cancel = this.#options.after(this.#options.everyMs, () => this.start());
  }

  stop(): void {
    this.#cancel();
  }

  write(): void {
    const { fs, directory, status, notice } = this.#options;
    try {
      writeStatus(fs, directory, status());
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) notice(`status.json is out of date: ${encodeError(error).message}`);
      this.#failing = true;
    }
  }
}
