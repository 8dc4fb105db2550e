import type { SnapshotDelta } from '../../src/model/delta.ts';
import { StateError } from '../../src/model/errors.ts';
import type { Recovery } from '../../src/model/recovery.ts';
import type { Snapshot, StrategySnapshot } from '../../src/model/snapshot.ts';
import { type Clock, systemClock } from '../../src/model/time.ts';
import { DurableWaiters } from '../../src/state/durable-waiters.ts';
import { Emitter } from '../../src/state/emitter.ts';
import { HostBooks } from '../../src/state/host-books.ts';
import type { AssetTotals, HostState, HostStateEvents, StrategyState } from '../../src/state/host-state.ts';

export interface MemoryHostStateOptions {
  /** True (default): each commit becomes durable at the end of its turn. False: only by makeDurable(). */
  readonly autoDurable?: boolean;
  /** What a restore would have given: the strategies of another state's snapshot(), say. */
  readonly restored?: readonly StrategySnapshot[];
  readonly epoch?: number;
  readonly currency?: string;
  readonly clock?: Clock;
  readonly recovery?: Partial<Recovery>;
  /** Takes each delta as it becomes durable, as a journal does. */
  readonly journal?: (delta: SnapshotDelta) => void;
}

export interface MemoryHostState extends HostState {
  /** Everything up to `through` (default: all) is durable from now on: waiters settle and `durable` is emitted at once. */
  makeDurable(through?: number): void;
  /** From now on commits become durable by themselves, or only by makeDurable(). */
  setAutoDurable(auto: boolean): void;
  /** Waiters for anything up to `through` (default: all) are rejected and `lagging` is emitted, as after a failed write. */
  failWrite(error: Error, through?: number): void;
  /** Sets what the engine sees as acceptsIntents. */
  setAcceptsIntents(accepts: boolean): void;
  /** Persistence fails for good: no intents, `failed` is emitted. */
  fail(error: Error): void;
  emit<K extends keyof HostStateEvents>(event: K, ...args: HostStateEvents[K]): void;
  /** The last phase that was told. */
  readonly currentPhase: string;
}

/** A HostState of the real books, without a worker and without files. */
export function memoryHostState(options: MemoryHostStateOptions = {}): MemoryHostState {
  return new InMemory(options);
}

class InMemory implements MemoryHostState {
  readonly recovery: Recovery;
  readonly epoch: number;
  readonly currency: string;
  readonly #books: HostBooks;
  readonly #clock: Clock;
  readonly #journal: (delta: SnapshotDelta) => void;
  #autoDurable: boolean;
  readonly #waiters = new DurableWaiters();
  readonly #emitter = new Emitter<HostStateEvents>((_event, error) => {
    throw error;
  });
  #durable = 0;
  #acceptsIntents = true;
  #phase = '';
  #scheduled = false;
  #closed = false;

  constructor(options: MemoryHostStateOptions) {
    this.epoch = options.epoch ?? 1;
    this.currency = options.currency ?? 'USD';
    this.#autoDurable = options.autoDurable ?? true;
    this.#journal = options.journal ?? (() => {});
    this.#clock = options.clock ?? systemClock;
    this.#books = new HostBooks({ currency: this.currency, epoch: this.epoch, clock: this.#clock });
    for (const restored of options.restored ?? []) this.#books.load(restored);
    this.recovery = {
      epoch: 0,
      sequence: 0,
      timestamp: null,
      age_ms: null,
      stale: false,
      used: [],
      lost: [],
      quarantined: [],
      ...options.recovery,
    };
    this.#books.begin(this.recovery.sequence);
    this.#durable = this.recovery.sequence;
  }

  get sequence(): number {
    return this.#books.sequence;
  }

  get durableSequence(): number {
    return this.#durable;
  }

  get durableLagMs(): number {
    const since = this.#books.dirtySinceMs;
    return since === null ? 0 : this.#clock.monotonicMs() - since;
  }

  get acceptsIntents(): boolean {
    return this.#acceptsIntents && !this.#closed;
  }

  get currentPhase(): string {
    return this.#phase;
  }

  register(strategy: string): StrategyState {
    return this.#books.register(strategy);
  }

  strategies(): readonly string[] {
    return this.#books.strategies();
  }

  hasExecution(executionId: string): boolean {
    return this.#books.hasExecution(executionId);
  }

  inAsset(asset: string): AssetTotals {
    return this.#books.inAsset(asset);
  }

  commit(): number {
    const sequence = this.#books.commit();
    if (this.#autoDurable && sequence > this.#durable && !this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        if (this.#autoDurable) this.makeDurable();
      });
    }
    return sequence;
  }

  rollback(): void {
    this.#books.rollback();
  }

  async durable(sequence: number = this.sequence): Promise<void> {
    if (this.#closed && sequence > this.#durable) throw new StateError('STATE_CLOSED', 'the state is closed');
    if (sequence > this.#durable) await this.#waiters.add(sequence);
  }

  async checkpoint(): Promise<{ readonly sequence: number; readonly files: readonly string[] }> {
    const sequence = this.commit();
    await this.durable(sequence);
    return { sequence, files: this.strategies().map((name) => `${name}_checkpoint.json`) };
  }

  snapshot(): Snapshot {
    return this.#books.snapshot();
  }

  mark(asset: string, price: string): void {
    this.#books.mark(asset, price);
  }

  phase(phase: string): void {
    this.#phase = phase;
  }

  on<K extends keyof HostStateEvents>(event: K, listener: (...args: HostStateEvents[K]) => void): void {
    this.#emitter.on(event, listener);
  }

  off<K extends keyof HostStateEvents>(event: K, listener: (...args: HostStateEvents[K]) => void): void {
    this.#emitter.off(event, listener);
  }

  emit<K extends keyof HostStateEvents>(event: K, ...args: HostStateEvents[K]): void {
    this.#emitter.emit(event, ...args);
  }

  async close(options: { readonly checkpoint?: boolean } = {}): Promise<void> {
    if (this.#closed) return;
    this.#books.rollback();
    if (options.checkpoint !== false && this.#autoDurable) this.makeDurable();
    this.#closed = true;
    this.#waiters.rejectAll(new StateError('STATE_CLOSED', 'the state was closed before this was durable'));
  }

  makeDurable(through: number = this.sequence): void {
    if (through <= this.#durable) return;
    if (through >= this.sequence) {
      const post = this.#books.takePost();
      if (post !== null) this.#journal(post.delta);
    }
    this.#durable = Math.min(through, this.sequence);
    this.#waiters.resolve(this.#durable);
    this.#emitter.emit('durable', this.#durable);
  }

  setAutoDurable(auto: boolean): void {
    this.#autoDurable = auto;
  }

  failWrite(error: Error, through: number = this.sequence): void {
    this.#waiters.reject(through, error);
    this.#emitter.emit('lagging', { lagMs: this.durableLagMs, error });
  }

  setAcceptsIntents(accepts: boolean): void {
    this.#acceptsIntents = accepts;
  }

  fail(error: Error): void {
    this.#acceptsIntents = false;
    this.#waiters.rejectAll(error);
    this.#emitter.emit('failed', error);
  }
}
