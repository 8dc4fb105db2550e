import { setImmediate as turn } from 'node:timers/promises';
import type { SnapshotDelta, StrategyDelta } from '../../src/model/delta.ts';
import { StateError } from '../../src/model/errors.ts';
import { timestamp } from '../../src/model/time.ts';
import { Mirror } from '../../src/persistence/mirror.ts';
import { prepareStateDirectory } from '../../src/persistence/state-directory.ts';
import { type DiskState, type ModelCall, ModelDisk, seededRandom } from '../../src/testing/model-disk.ts';
import { type Expectation, stateText } from './crash-expectation.ts';
import type { Explorer } from './crash-explorer.ts';
import { CrashHost, directory } from './crash-host.ts';

const startedAt = 1_759_415_400_000_000;

export interface CrashRigStart {
  readonly expected: Expectation;
  readonly life: number;
  readonly epoch: number;
  readonly incarnation: number;
}

/**
 * An engine's part in a program: it commits, posts, asks for checkpoints and starts again, on a disk that an explorer watches,
 * and knows at each moment what may come back.
 */
export class CrashRig {
  readonly explorer: Explorer;
  disk: ModelDisk;
  host: CrashHost;
  /** Which start this is; also the epoch, except that a replaced worker keeps its own. */
  life = 1;
  epoch = 1;
  incarnation = 1;
  committed = 0;
  /** How many bytes of ballast a commit brings, so that a group is of several blocks. */
  padding = 0;
  /** What has been committed by, and so can be saved. */
  get strategies(): readonly string[] {
    return this.#engine.strategies();
  }

  /** What was acknowledged before the host began. */
  #floor = 0;
  #states = new Map<number, string>([[0, '[]']]);
  #during: { readonly call: ModelCall['call']; readonly path: RegExp; readonly strategies: readonly string[] } | null =
    null;
  /** `host` is still the one before. */
  #starting = false;
  #saved = new Map<string, Set<string>>();
  #engine = new Mirror({ currency: 'USD' });
  readonly name: string;

  private constructor(explorer: Explorer, disk: ModelDisk, name: string, from: CrashRigStart | null) {
    this.explorer = explorer;
    this.disk = disk;
    this.name = name;
    if (from !== null) {
      this.life = from.life;
      this.epoch = from.epoch;
      this.incarnation = from.incarnation;
      this.#adopt(from.expected);
    }
    this.host = this.#host();
  }

  /** On an empty disk, the directory made by what makes it in earnest. */
  static async start(explorer: Explorer, name: string): Promise<CrashRig> {
    const disk = new ModelDisk(explorer.options.disk);
    const rig = new CrashRig(explorer, disk, name, null);
    await rig.#begin(false);
    return rig;
  }

  /** A start on a disk from elsewhere, of which `expected` is known. Calls {@link restart} next. */
  static on(explorer: Explorer, disk: ModelDisk, name: string, from: CrashRigStart): CrashRig {
    return new CrashRig(explorer, disk, name, from);
  }

  get expected(): Expectation {
    return {
      floor: this.#starting ? this.#floor : (this.host.acknowledged ?? this.#floor),
      states: this.#states,
      saved: this.#saved,
    };
  }

  /** One delta over `span` commits, posted and made durable as far as the disk allows. */
  commit(strategies: readonly string[], span = 1): void {
    this.post(strategies, span);
    this.host.turn();
  }

  /** The same, left for the service's next turn. */
  post(strategies: readonly string[], span = 1): void {
    const previous = this.committed;
    const through = previous + span;
    const at = timestamp(startedAt + this.life * 60_000_000 + through * 1_000);
    const changes = strategies.map((strategy) => change(strategy, this.life, through, this.padding));
    const delta: SnapshotDelta = { previous, through, at, strategies: changes };
    this.#engine.apply(delta);
    this.committed = through;
    this.#states.set(through, stateText(this.#engine));
    this.host.post(delta);
  }

  async checkpoint(strategies: readonly string[] | null = null): Promise<void> {
    const done = await this.host.checkpoint(this.committed, strategies).finally(() => {
      this.#during = null;
    });
    const now = this.disk.state();
    for (const { file } of done.strategies) {
      const path = `${directory}/${file}`;
      this.#saved.set(path, new Set([now.digest(path) ?? '']));
    }
  }

  /** One that is to fail, and leave everything as it was. */
  async failingCheckpoint(strategies: readonly string[] | null = null): Promise<void> {
    const failed = await this.checkpoint(strategies).then(
      () => null,
      (error: unknown) => error,
    );
    if (!(failed instanceof StateError)) throw new Error(`the checkpoint was to fail, and gave ${String(failed)}`);
  }

  /** Time passes: what failed is tried again, and a heartbeat may be due. */
  wait(ms: number): void {
    this.host.clock.advance(ms);
  }

  /** Lets the checkpoints end that the service makes of its own accord. */
  async settle(): Promise<void> {
    for (let turns = 0; turns < 4; turns += 1) await turn();
  }

  /** An orderly end, with a final checkpoint, and the next start. */
  async closeAndStart(): Promise<void> {
    await this.host.close(this.committed);
    await this.kill();
  }

  /** Something is posted while the next file call of that kind on that path waits for the disk. */
  postDuring(call: ModelCall['call'], path: RegExp, strategies: readonly string[]): void {
    this.#during = { call, path, strategies };
  }

  /** The process is killed and starts again: the cache is still there. */
  async kill(): Promise<void> {
    this.life += 1;
    this.epoch = this.life;
    this.incarnation = 1;
    await this.#restart(this.disk.clone(), false);
  }

  /** The worker dies and is replaced: the same epoch, and the engine posts again what is not acknowledged. */
  async replaceWorker(): Promise<void> {
    this.life += 1;
    this.incarnation += 1;
    await this.#restart(this.disk.clone(), false);
  }

  /** The power is cut and the machine starts again, with one of the disks that may be found. */
  async cutPower(state: DiskState | number): Promise<void> {
    const found = typeof state === 'number' ? this.disk.randomCrashState(seededRandom(state)) : state;
    this.life += 1;
    this.epoch = this.life;
    this.incarnation = 1;
    await this.#restart(ModelDisk.from(found, this.explorer.options.disk), true);
  }

  /** open() and begin() of a rig made by {@link on}. */
  async restart(durable: boolean): Promise<void> {
    await this.#begin(durable);
  }

  /** The last crash point of a program: after its last call. */
  finish(): void {
    this.explorer.look(this.disk, this.expected, () => `${this.name}, at the end`);
  }

  /** The program went on after a crash that came in the middle of a step: it starts again from there. */
  async startFrom(
    crash: { readonly disk: ModelDisk; readonly expected: Expectation },
    durable: boolean,
  ): Promise<void> {
    this.life += 1;
    this.epoch = this.life;
    this.incarnation = 1;
    this.#adopt(crash.expected);
    await this.#startOn(crash.disk, durable);
  }

  #adopt({ floor, states, saved }: Expectation): void {
    this.#floor = floor;
    this.#states = new Map(states);
    this.#saved = new Map([...saved].map(([path, digests]) => [path, new Set(digests)]));
  }

  async #restart(disk: ModelDisk, durable: boolean): Promise<void> {
    this.#floor = this.expected.floor;
    await this.#startOn(disk, durable);
  }

  async #startOn(disk: ModelDisk, durable: boolean): Promise<void> {
    // Whatever the service before still has to do comes to nothing: its process is gone.
    this.disk.before = () => {};
    this.disk.cutBefore(1);
    this.disk = disk;
    this.host = this.#host();
    await this.#begin(durable);
  }

  #host(): CrashHost {
    const { explorer, disk, epoch, incarnation, life } = this;
    explorer.watch(disk, () => this.expected, `${this.name}, start ${life}`);
    const look = disk.before;
    disk.before = (call) => {
      look(call);
      // From here on a crash may find the old file or this one.
      const saved = call.call === 'rename' && call.to !== null ? this.#saved.get(call.to) : undefined;
      saved?.add(disk.state().digest(call.path) ?? '');
      const during = this.#during;
      if (during === null || during.call !== call.call || !during.path.test(call.path)) return;
      this.#during = null;
      this.post(during.strategies);
    };
    const atLeast = incarnation > 1 ? this.#floor : 0;
    this.#starting = true;
    this.#during = null;
    const host = new CrashHost(explorer.fileSystem(disk), { epoch, incarnation, atLeast }, explorer.options.host);
    this.#starting = false;
    return host;
  }

  /** `durable`: what is read is all that there is, so that it must come back from now on. */
  async #begin(durable: boolean): Promise<void> {
    prepareStateDirectory(this.explorer.fileSystem(this.disk), directory, { force: false });
    const { recovery, base } = await this.host.open();
    const state = this.#states.get(recovery.sequence);
    if (state === undefined) throw new Error(`${recovery.sequence} came back, which was never committed`);
    for (const sequence of this.#states.keys()) if (sequence > recovery.sequence) this.#states.delete(sequence);
    this.#states.set(base, state);
    if (durable) this.#floor = recovery.sequence;
    this.#engine = new Mirror({ currency: 'USD' });
    for (const snapshot of JSON.parse(state)) this.#engine.load(snapshot, base);
    this.#engine.start(base);
    this.committed = base;
    await this.host.begin();
    this.#states = new Map([[base, state]]);
  }
}

/** Some of everything, different in each life, so that a mix of two histories is seen. */
function change(strategy: string, life: number, through: number, padding: number): StrategyDelta {
  return {
    strategy,
    positions: [{ asset: `A${through % 2}`, amount: `${life}.${through}`, cost_basis: '10.25', last_price: null }],
    cash: [['USD', `${1000 * life - through}.5`]],
    state: [['seen', `${life}/${through}`], ...(padding === 0 ? [] : [['padding', 'x'.repeat(padding)] as const])],
  };
}
