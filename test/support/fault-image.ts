import { execFile } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { searchPath } from './fault-gates.ts';

export interface ImageOptions {
  readonly type: 'ext4' | 'xfs' | 'tmpfs';
  readonly bytes: number;
  /** Options of mount. */
  readonly options?: readonly string[];
}

/** A file system of its own, in a file (tmpfs: in memory), mounted. Only for root. */
export class Image implements AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string;
  readonly #home: string;
  readonly #file: string;
  readonly #options: ImageOptions;
  #mounted = false;

  private constructor(options: ImageOptions) {
    this.#options = options;
    this.#home = mkdtempSync(join(homeOfImages(), 'holdfast-image-'));
    this.#file = join(this.#home, 'image');
    this.path = join(this.#home, 'mounted');
    mkdirSync(this.path);
  }

  static async make(options: ImageOptions): Promise<Image> {
    const image = new Image(options);
    try {
      if (options.type !== 'tmpfs') {
        writeFileSync(image.#file, '');
        truncateSync(image.#file, options.bytes);
        // No blocks kept for root, so that a full disk is full for whoever asks.
        if (options.type === 'ext4') await run('mkfs.ext4', ['-q', '-F', '-m', '0', image.#file]);
        else await run('mkfs.xfs', ['-q', '-f', image.#file]);
      }
      await image.mount();
      return image;
    } catch (error) {
      await image[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Replays the log of what was cut off. */
  async mount(): Promise<void> {
    const { type, bytes, options = [] } = this.#options;
    if (type === 'tmpfs') await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'holdfast', this.path]);
    else await run('mount', ['-t', type, '-o', ['loop', ...options].join(','), this.#file, this.path]);
    this.#mounted = true;
  }

  /** Whoever had files open on it must have ended; the kernel may take a moment to notice that. */
  async unmount(): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await run('umount', [this.path]);
        this.#mounted = false;
        return;
      } catch (error) {
        if (tries === 200) throw error;
        await pause(20);
      }
    }
  }

  /**
   * As if the power went: from now on nothing reaches the device, and what only the page cache has is lost.
   * @param flushLog writes the log out first, without the data that it may speak of
   */
  async cut(flushLog: boolean): Promise<void> {
    await run('xfs_io', ['-x', '-c', flushLog ? 'shutdown -f' : 'shutdown', this.path]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#mounted) await this.unmount();
    rmSync(this.#home, { recursive: true, force: true });
  }
}

/** Images in memory are quicker, and no less a device. */
function homeOfImages(): string {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return '/dev/shm';
  } catch {
    return tmpdir();
  }
}

const execute = promisify(execFile);

async function run(command: string, args: readonly string[]): Promise<void> {
  await execute(command, [...args], { env: { ...process.env, PATH: searchPath } });
}
