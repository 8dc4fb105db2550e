import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root } from './documents.ts';
import type { KillRandom } from './kill-random.ts';

/** The numbers that make a directory of load what it is. */
export interface KillPlan {
  readonly strategies: number;
  readonly positions: number;
  readonly changes: number;
  readonly seed: number;
}

/** Small, so that many cycles fit into a minute, and different, so that they don't all do the same. */
export function smallPlan(random: KillRandom): KillPlan {
  const positions = random.from(1, 40);
  return {
    strategies: random.from(1, 8),
    positions,
    changes: random.from(1, Math.min(4, positions)),
    seed: random.from(0, 1_000_000),
  };
}

export interface Killed {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** How many lines "ack SEQUENCE" were read, and the last whole one; 0 where there was none. */
  readonly acks: number;
  readonly lastAck: number;
  readonly stderr: string;
}

/** `holdfast load --acks -` in a process of its own. */
export class LoadProcess {
  readonly ended: Promise<Killed>;
  /** Resolves with the first acknowledgement, or with the end where there is none. */
  readonly firstAck: Promise<void>;
  readonly #child: ChildProcess;
  #acks = 0;
  #lastAck = 0;
  #stderr = '';

  constructor(directory: string, plan: KillPlan, rate: number, more: readonly string[] = []) {
    const args = ['--strategies', plan.strategies, '--positions', plan.positions, '--changes', plan.changes];
    args.push('--seed', plan.seed, '--rate', rate, '--duration', 60, '--checkpoint-interval', 50);
    const main = join(root, 'src/cli/main.ts');
    this.#child = spawn(
      process.execPath,
      [main, 'load', '--dir', directory, '--acks', '-', ...args.map(String), ...more],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    this.#child.stderr?.on('data', (data) => {
      this.#stderr += String(data);
    });
    const first = Promise.withResolvers<void>();
    this.firstAck = first.promise;
    // The last line may be cut by the kill: what is no whole line was not said.
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const sequence = /^ack ([1-9]\d*)$/.exec(line)?.[1];
      if (sequence === undefined) return;
      this.#acks += 1;
      this.#lastAck = Math.max(this.#lastAck, Number(sequence));
      first.resolve();
    });
    this.ended = new Promise((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('close', (code, signal) => {
        first.resolve();
        resolve({ code, signal, acks: this.#acks, lastAck: this.#lastAck, stderr: this.#stderr });
      });
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** How many acknowledgements were heard so far. */
  get acks(): number {
    return this.#acks;
  }

  /** The last acknowledgement that was heard so far. */
  get lastAck(): number {
    return this.#lastAck;
  }

  send(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}
