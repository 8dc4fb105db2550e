import { StateError } from '../../src/model/errors.ts';
import { ModelDisk, seededRandom } from '../../src/testing/model-disk.ts';
import { Explorer, type ExplorerOptions } from './crash-explorer.ts';
import { CrashRig } from './crash-rig.ts';

/** What a random program did, for whoever has to find out why it broke. */
export interface RandomRun {
  readonly explorer: Explorer;
  readonly steps: readonly string[];
  readonly crashes: number;
}

const names = ['alpha', 'beta', 'gamma'];

/** One random program of commits, checkpoints, faults, restarts and crashes: always the same for the same seed. */
export async function randomRun(seed: number, wrap?: ExplorerOptions['wrap']): Promise<RandomRun> {
  const program = new RandomProgram(seed, wrap);
  await program.run();
  return { explorer: program.explorer, steps: program.steps, crashes: program.crashes };
}

class RandomProgram {
  readonly steps: string[] = [];
  readonly explorer: Explorer;
  crashes = 0;
  readonly #random: () => number;

  constructor(seed: number, wrap: ExplorerOptions['wrap']) {
    this.#random = seededRandom(seed);
    const options: ExplorerOptions = {
      disk: {
        blockBytes: this.#one([128, 512, 512]),
        order: this.#one(['any', 'any', 'prefix']),
        writeBytesMax: this.#one([150, 2 ** 30, 2 ** 30, 2 ** 30]),
      },
      host: {
        segmentBytesMax: this.#one([300, 700, 2_000]),
        journalBytesMax: this.#one([1_500, 2 ** 28, 2 ** 28]),
        generations: this.#one([2, 3]),
      },
      chance: 0.02,
      seed,
      badMax: 1,
    };
    this.explorer = new Explorer(wrap === undefined ? options : { ...options, wrap });
  }

  async run(): Promise<void> {
    try {
      const rig = await CrashRig.start(this.explorer, 'random');
      const count = 3 + this.#below(9);
      for (let step = 0; step < count && this.explorer.badCount === 0; step += 1) await this.#step(rig);
      this.#say('power cut at the end');
      await rig.cutPower(this.#below(2 ** 31));
    } catch (error) {
      this.explorer.fail(
        'a step of the program',
        error instanceof Error ? (error.stack ?? error.message) : String(error),
      );
    }
  }

  /** A step, and perhaps a crash before some call in the middle of it; then perhaps one in the start that follows. */
  async #step(rig: CrashRig): Promise<void> {
    if (this.#random() < 0.25) this.explorer.arm(1 + this.#below(24));
    await this.#do(rig);
    for (let crash = this.explorer.captured; crash !== null; crash = this.explorer.captured) {
      this.crashes += 1;
      const again = this.#random() < 0.5 ? 1 + this.#below(10) : 0;
      this.explorer.arm(again);
      if (this.#random() < 0.4) {
        this.#say('… killed in the middle of it');
        await rig.startFrom(crash, false);
      } else {
        this.#say('… the power was cut in the middle of it');
        const found = crash.disk.randomCrashState(this.#random);
        await rig.startFrom({ ...crash, disk: ModelDisk.from(found, this.explorer.options.disk) }, true);
      }
    }
    this.explorer.arm(0);
    if (rig.host.fatal.length > 0) throw rig.host.fatal[0];
  }

  async #do(rig: CrashRig): Promise<void> {
    const some = this.#some(names);
    const drawn = this.#random();
    if (drawn < 0.35) {
      const span = 1 + this.#below(3);
      this.#say(`commit ${some} over ${span}`);
      rig.commit(some, span);
    } else if (drawn < 0.45) {
      this.#say(`commits ${some} in one turn`);
      for (const name of some) rig.post([name]);
      rig.host.turn();
    } else if (drawn < 0.7) {
      await this.#checkpoint(rig);
    } else if (drawn < 0.76) {
      const ms = this.#one([50, 100, 2_000, 60_000]);
      this.#say(`wait ${ms}`);
      rig.wait(ms);
      await rig.settle();
    } else if (drawn < 0.84) {
      const end = this.#one(['.journal', '.tmp']);
      this.#say(`the next fsync of a ${end} fails`);
      rig.disk.failSyncs((path) => path.endsWith(end), 1 + this.#below(2));
    } else if (drawn < 0.87) {
      rig.padding = this.#one([0, 300, 900]);
      this.#say(`ballast of ${rig.padding}`);
    } else if (drawn < 0.9) {
      this.#say('orderly end');
      await this.#tolerated(rig, () => rig.closeAndStart());
    } else if (drawn < 0.93) {
      this.#say('kill');
      await rig.kill();
    } else if (drawn < 0.96) {
      this.#say('worker replaced');
      await this.#tolerated(rig, () => rig.replaceWorker());
    } else {
      this.#say('power cut');
      await rig.cutPower(this.#below(2 ** 31));
    }
  }

  async #checkpoint(rig: CrashRig): Promise<void> {
    const known = rig.strategies;
    const which = this.#random() < 0.5 ? null : this.#some(known);
    const during = this.#random() < 0.3;
    this.#say(`checkpoint ${which ?? 'all'}${during ? ', and a commit meanwhile' : ''}`);
    if (during)
      rig.postDuring(this.#one(['write', 'fsync', 'rename']), /(alpha|beta|gamma).*\.tmp$/, this.#some(names));
    await this.#tolerated(rig, () => rig.checkpoint(which));
    rig.host.turn();
  }

  /** A failed fsync may make it fail; nothing else may. Time passes meanwhile, so that what failed is tried again. */
  async #tolerated(rig: CrashRig, work: () => Promise<void>): Promise<void> {
    let ended = false;
    const working = work().finally(() => {
      ended = true;
    });
    working.catch(() => {});
    for (let waits = 0; !ended; waits += 1) {
      await rig.settle();
      if (!ended) rig.wait(2_000);
      if (waits > 100) throw new Error('it does not end');
    }
    try {
      await working;
    } catch (error) {
      const isFault = error instanceof StateError && error.details['errno'] === 'EIO';
      if (!isFault) throw error;
      this.#say(`  failed: ${error.message.slice(0, 80)}`);
    }
  }

  #say(what: string): void {
    this.steps.push(what);
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }

  #one<const T>(of: readonly T[]): T {
    return of[this.#below(of.length)] as T;
  }

  #some(of: readonly string[]): readonly string[] {
    const some = of.filter(() => this.#random() < 0.5);
    return some.length > 0 || of.length === 0 ? some : [this.#one(of)];
  }
}
