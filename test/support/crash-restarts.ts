import { isTemporaryName } from '../../src/persistence/checkpoint-names.ts';
import { type DiskState, ModelDisk } from '../../src/testing/model-disk.ts';
import { type Expectation, type Found, frozen } from './crash-expectation.ts';
import { Explorer, type ExplorerCounts, type ExplorerOptions, noCounts, Reservoir } from './crash-explorer.ts';
import { directory } from './crash-host.ts';
import { CrashRig } from './crash-rig.ts';

/*
 * The second crash. Of the disks that a first crash may leave, and of the moments at which a process may be killed or a worker
 * replaced, some are kept; on each the next start runs, and is itself crashed before each of its calls:
 *
 * - after a power cut everything that was read is durable, so the same restore point comes back, whatever happens to the start;
 * - after a kill the start reads from the cache what may not be on the disk, and may give it to the engine only once it is.
 */

interface Restart {
  readonly where: string;
  readonly disk: ModelDisk;
  readonly expected: Expectation;
  readonly life: number;
  readonly epoch: number;
  readonly incarnation: number;
  /** Nothing on the disk is in the cache alone. */
  readonly durable: boolean;
}

export class Restarts {
  /** Of the second crashes. */
  readonly counts: ExplorerCounts = { ...noCounts };
  /** How many starts were run. */
  restarts = 0;
  #moments = 0;
  readonly #cuts: Reservoir<Restart>;
  readonly #kills: Reservoir<Restart>;
  readonly #options: ExplorerOptions;

  /** @param each how many restarts of each kind, of all that are offered */
  constructor(each: number, options: ExplorerOptions) {
    this.#cuts = new Reservoir(each, options.seed ?? 1);
    this.#kills = new Reservoir(each, options.seed ?? 1);
    this.#options = options;
  }

  /** Collects from a program while it runs. */
  collect(explorer: Explorer, rig: () => CrashRig | null): void {
    explorer.onDisk = (state: DiskState, result: Found) => {
      if (result.kind !== 'restored') return;
      const life = (rig()?.life ?? 1) + 1;
      const saved = new Map<string, Set<string>>();
      for (const { path } of state.entries()) {
        if (path.endsWith('_checkpoint.json')) saved.set(path, new Set([state.digest(path) ?? '']));
      }
      const expected = { floor: result.sequence, states: new Map([[result.sequence, result.state]]), saved };
      this.#cuts.offer(() => ({
        where: `a power cut that left\n${state.names}`,
        disk: ModelDisk.from(state, this.#options.disk),
        expected,
        life,
        epoch: life,
        incarnation: 1,
        durable: true,
      }));
    };
    explorer.onCrashPoint = (disk, expected, where) => {
      const { life = 1, epoch = 1, incarnation = 1, host = null } = rig() ?? {};
      // A worker is replaced only once it has begun; before that the engine starts anew.
      const replaced = host !== null && host.acknowledged !== null && this.#moments++ % 2 === 0;
      this.#kills.offer(() => ({
        where: `${replaced ? 'a worker replaced' : 'a kill'} at: ${where()}`,
        disk: disk.clone(),
        expected: frozen(expected),
        life: life + 1,
        epoch: replaced ? epoch : life + 1,
        incarnation: replaced ? incarnation + 1 : 1,
        durable: false,
      }));
    };
  }

  /** Runs what was kept; what breaks goes to `explorer`. */
  async run(explorer: Explorer): Promise<void> {
    const restarts = [...this.#cuts.kept, ...this.#kills.kept];
    for (const [index, restart] of restarts.entries()) {
      if (explorer.badCount >= (this.#options.badMax ?? Number.POSITIVE_INFINITY)) return;
      const inner = new Explorer({ ...this.#options, statesMax: Math.min(256, this.#options.statesMax ?? 256) });
      try {
        await once(inner, restart, index % 8 === 0);
      } catch (error) {
        inner.fail('the start itself', error instanceof Error ? `${error.message}` : String(error));
      }
      for (const { where, why } of inner.bad) explorer.fail(`${restart.where}; then ${where}`, why);
      this.restarts += 1;
      for (const name of Object.keys(this.counts) as (keyof ExplorerCounts)[]) this.counts[name] += inner.counts[name];
    }
  }
}

async function once(inner: Explorer, restart: Restart, checkpoint: boolean): Promise<void> {
  const rig = CrashRig.on(inner, restart.disk, 'second crash', restart);
  await rig.restart(restart.durable);
  const left = rig.disk.readdir(directory).filter(isTemporaryName);
  if (left.length > 0) inner.fail('the start', `temporary files were not swept: ${left.join(', ')}`);
  rig.commit(['alpha', 'beta']);
  if (checkpoint) await rig.checkpoint();
  rig.finish();
  if (rig.host.acknowledged !== rig.committed) inner.fail('the start', 'a commit after it was not made durable');
}
