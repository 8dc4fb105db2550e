import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { checkLoad, type LoadCheck, type Mismatch } from '../../src/cli/load/check.ts';
import type { LoadPlan } from '../../src/cli/load/plan.ts';
import { root } from './documents.ts';

export interface VictimOptions {
  readonly directory: string;
  readonly plan: LoadPlan;
  readonly lagMsMax?: number;
  readonly fileSystem?: { readonly module: string; readonly options?: unknown };
}

export type VictimCommand =
  | { readonly do: 'save'; readonly commits: number; readonly checkpoint: boolean }
  | { readonly do: 'close' };

export interface SaveError {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** One save: the commits up to `sequence`, made durable and then written as checkpoints. */
export interface Saved {
  readonly is: 'saved';
  readonly sequence: number;
  readonly durable: SaveError | null;
  readonly checkpoint: SaveError | null;
}

export type VictimSays =
  | { readonly is: 'opened' | 'committed' | 'ack'; readonly sequence: number }
  | Saved
  | { readonly is: 'lagging' | 'checkpointFailed' | 'failed'; readonly error: SaveError | null }
  | { readonly is: 'recovered' }
  | { readonly is: 'notice'; readonly message: string };

const patienceMs = 60_000;

/** test/support/fault-victim.ts as a process, with what it promised. */
export class Victim implements AsyncDisposable {
  readonly said: VictimSays[] = [];
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly #directory: string;
  readonly #child: ChildProcess;
  #waiting: { readonly from: number; readonly matches: (say: VictimSays) => boolean; readonly met: () => void }[] = [];
  #stderr = '';
  #over = false;

  constructor(options: VictimOptions) {
    this.#directory = options.directory;
    this.#child = spawn(process.execPath, [join(root, 'test/support/fault-victim.ts'), JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stdin?.on('error', () => {});
    this.#child.stderr?.on('data', (data) => {
      this.#stderr += String(data);
    });
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      // The last line may be cut by a kill: what is no whole line was not said.
      if (!line.endsWith('}')) return;
      this.said.push(JSON.parse(line) as VictimSays);
      this.#look();
    });
    this.ended = new Promise((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('close', (code, signal) => {
        this.#over = true;
        this.#look();
        resolve({ code, signal });
      });
    });
  }

  static async open(options: VictimOptions): Promise<Victim> {
    const victim = new Victim(options);
    await victim.heard(({ is }) => is === 'opened', 0);
    if (!victim.said.some(({ is }) => is === 'opened')) throw new Error(`the victim did not open: ${victim.stderr}`);
    return victim;
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** The last sequence that it called durable, restored ones included. */
  get acknowledged(): number {
    return this.#last('ack') || this.#last('opened');
  }

  /** The last sequence that it called committed: it committed nothing after it. */
  get committed(): number {
    return this.#last('committed') || this.#last('opened');
  }

  /** The persistence worker's thread, as the kernel numbers it. */
  get thread(): number {
    const tasks = `/proc/${this.pid}/task`;
    const found = readdirSync(tasks).filter(
      (task) => readFileSync(join(tasks, task, 'comm'), 'utf8').trim() === 'persistence',
    );
    if (found.length !== 1) throw new Error(`${found.length} threads of ${this.pid} are named persistence`);
    return Number(found[0]);
  }

  tell(command: VictimCommand): void {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#child.kill(signal);
  }

  async killed(): Promise<void> {
    this.kill();
    await this.ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.killed();
  }

  /** Resolves once it has acknowledged `sequence`. @throws where the process ends first, or a minute passes */
  async acknowledges(sequence: number): Promise<void> {
    const said = await this.heard((say) => say.is === 'ack' && say.sequence >= sequence, 0);
    if (said === null && this.acknowledged < sequence) {
      throw new Error(`acknowledged ${this.acknowledged}, and ${sequence} never: ${this.stderr}`);
    }
  }

  /** Resolves with the first answer from now on, or null where the process ends or `ms` pass before it. */
  async save(commits: number, checkpoint = true, ms = patienceMs): Promise<Saved | null> {
    const from = this.said.length;
    this.tell({ do: 'save', commits, checkpoint });
    return (await this.heard(({ is }) => is === 'saved', from, ms)) as Saved | null;
  }

  /** The first of what it said from index `from` on that matches; null where the process ends or `ms` pass before it. */
  async heard(matches: (say: VictimSays) => boolean, from: number, ms = patienceMs): Promise<VictimSays | null> {
    const met = Promise.withResolvers<void>();
    const wait = { from, matches, met: met.resolve };
    this.#waiting.push(wait);
    const timer = setTimeout(met.resolve, ms);
    this.#look();
    await met.promise;
    clearTimeout(timer);
    this.#waiting = this.#waiting.filter((each) => each !== wait);
    return this.said.slice(from).find(matches) ?? null;
  }

  temporaryFiles(): readonly string[] {
    return temporaryFilesIn(this.#directory);
  }

  #last(is: 'opened' | 'committed' | 'ack'): number {
    const last = this.said.findLast((say) => say.is === is);
    return last !== undefined && 'sequence' in last ? last.sequence : 0;
  }

  #look(): void {
    for (const { from, matches, met } of this.#waiting) {
      if (this.#over || this.said.slice(from).some(matches)) met();
    }
  }
}

/** Temporary files of checkpoints; status.json has one about once a second, for an instant. */
export function temporaryFilesIn(directory: string): readonly string[] {
  return readdirSync(directory).filter((file) => file.endsWith('.tmp') && !file.startsWith('.status.json'));
}

/** What is wrong with what a restore of the directory gives, by what was promised; null where it is as it must be. */
export function brokenPromise(
  directory: string,
  acknowledged: number,
  committed: number,
): { readonly problem: string | null; readonly check: LoadCheck } {
  const wrong: Mismatch[] = [];
  const check = checkLoad(directory, (mismatch) => wrong.push(mismatch));
  const lost = check.lost.filter((loss) => loss.acknowledged);
  const between = `restored ${check.sequence}, acknowledged ${acknowledged}, committed ${committed}`;
  if (wrong.length > 0) return { problem: `${between}: ${JSON.stringify(wrong.slice(0, 3))}`, check };
  if (check.sequence < acknowledged || check.sequence > committed) return { problem: between, check };
  return { problem: lost.length > 0 ? `${between}: lost ${JSON.stringify(lost)}` : null, check };
}
