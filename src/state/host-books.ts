import type { SnapshotDelta, StrategyDelta } from '../model/delta.ts';
import { StateError } from '../model/errors.ts';
import { type DecimalString, isDecimalString } from '../model/money.ts';
import { assertStrategyName, UNASSIGNED } from '../model/names.ts';
import type { PositionSnapshot } from '../model/position.ts';
import type { Snapshot, StrategySnapshot } from '../model/snapshot.ts';
import { type Clock, type Timestamp, timestamp } from '../model/time.ts';
import { Book, type BookHost } from './book.ts';
import { CommittedView, nothingStaged } from './committed-view.ts';
import type { AssetTotals } from './host-state.ts';
import { HostTotals } from './host-totals.ts';
import { defaultStateLimits, type StateLimits } from './state-limits.ts';
import { UndoLog } from './undo-log.ts';
import { assertOneRecord, eventsOf, wholePosts } from './whole-posts.ts';

export interface HostBooksOptions {
  readonly currency: string;
  readonly epoch: number;
  readonly clock: Clock;
  /** Default {@link defaultStateLimits}. */
  readonly limits?: StateLimits;
  /** Called with a post that a commit has to leave to, because together they are more than one record can hold (L1). */
  readonly onCut?: (post: Post) => void;
  /** A committed state value is larger than stateValueWarnBytes: called once for each key. */
  readonly onLargeValue?: (strategy: string, key: string, bytes: number) => void;
  /** Called with each position that a commit changed, for whoever weighs how much changed. */
  readonly onPositionCommitted?: (before: PositionSnapshot | undefined, now: PositionSnapshot | undefined) => void;
}

/** One post, before it is sent. */
export interface Post {
  readonly delta: SnapshotDelta;
  /** Monotonic time of its first commit. */
  readonly sinceMs: number;
  readonly events: number;
}

/**
 * The live state of all strategies of a host, on the engine's thread: staging, commits, and what is dirty. It knows nothing of
 * threads and files, so that everything about state that does not need a disk can be tested without one.
 */
export class HostBooks {
  readonly #currency: string;
  readonly #epoch: number;
  readonly #clock: Clock;
  readonly #onPositionCommitted: HostBooksOptions['onPositionCommitted'];
  readonly #onCut: ((post: Post) => void) | null;
  readonly #limits: StateLimits;
  readonly #books = new Map<string, Book>();
  readonly #log = new UndoLog<Book>();
  readonly #marks = new Map<string, DecimalString>();
  readonly #totals = new HostTotals();
  readonly #marked = new Set<string>();
  readonly #host: BookHost;
  readonly #dirty = new Set<Book>();
  #dirtyEvents = 0;
  #dirtyBytes = 0;
  #dirtySinceMs: number | null = null;
  #sequence = 0;
  #posted = 0;
  #committedMicros: number;

  constructor(options: HostBooksOptions) {
    this.#currency = options.currency;
    this.#epoch = options.epoch;
    this.#clock = options.clock;
    this.#onPositionCommitted = options.onPositionCommitted;
    this.#onCut = options.onCut ?? null;
    this.#limits = options.limits ?? defaultStateLimits;
    this.#committedMicros = options.clock.nowMicros();
    this.#host = {
      currency: options.currency,
      log: this.#log,
      marks: this.#marks,
      limits: this.#limits,
      totals: this.#totals,
      onLargeValue: options.onLargeValue ?? (() => {}),
      committed: (book) => this.#committed(book),
    };
  }

  /** Of the last commit. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Committed events that no post has taken yet. */
  get waitingEvents(): number {
    return this.#dirtyEvents;
  }

  /** Monotonic time of the oldest commit that no post has taken yet; null where there is none. */
  get dirtySinceMs(): number | null {
    return this.#dirtySinceMs;
  }

  /** True where a checkpoint would hold something that the last post did not carry. */
  get hasNewMarks(): boolean {
    return this.#marked.size > 0;
  }

  /** A strategy as it was restored; before begin() only. */
  load(restored: StrategySnapshot): void {
    if (restored.currency !== this.#currency) {
      throw new StateError(
        'CURRENCY_MISMATCH',
        `strategy "${restored.strategy_name}" was saved with base currency ${restored.currency}, and this host's is ${this.#currency}; open it with currency: '${restored.currency}'`,
        { details: { strategy: restored.strategy_name, saved: restored.currency, host: this.#currency } },
      );
    }
    this.#books.set(restored.strategy_name, new Book(restored.strategy_name, this.#host, restored));
  }

  /** The sequence that the first commit follows. */
  begin(sequence: number): void {
    this.#sequence = sequence;
    this.#posted = sequence;
  }

  /** @throws ConfigError STRATEGY_NAME_INVALID */
  register(name: string): Book {
    const known = this.#books.get(name);
    if (known !== undefined) return known;
    assertStrategyName(name);
    const book = new Book(name, this.#host, null);
    this.#books.set(name, book);
    // A strategy exists from its registration on, also while it is empty; the book of what belongs to nobody does not.
    if (name !== UNASSIGNED) this.#log.push(book, { part: 'registration' }, 100 + name.length);
    return book;
  }

  /** Takes back the registration of a book that nobody holds yet, with all that is staged in it. */
  unregister(book: Book): void {
    book.rollbackTo(0);
    this.#log.forget(book);
    this.#books.delete(book.name);
  }

  /** The book of a strategy that is known. */
  book(name: string): Book | undefined {
    return this.#books.get(name);
  }

  strategies(): readonly string[] {
    return [...this.#books.values()]
      .filter((book) => book.name !== UNASSIGNED || book.holdsSomething)
      .map((book) => book.name)
      .sort();
  }

  /** Whether any strategy knows the execution. */
  hasExecution(executionId: string): boolean {
    return this.#totals.executions.has(executionId);
  }

  /** What all strategies together have in an asset, staged changes included. */
  inAsset(asset: string): AssetTotals {
    return this.#totals.asset(asset, (sums) => {
      for (const book of this.#books.values()) book.addTo(sums, asset);
    });
  }

  commit(): number {
    if (this.#log.isEmpty) return this.#sequence;
    this.#cutWhereFull();
    this.#advance();
    this.#log.drain((book, change, bytes) => {
      if (change.part === 'event') this.#dirtyEvents += 1;
      if (change.part === 'position') this.#onPositionCommitted?.(change.previous, book.position(change.key));
      this.#dirtyBytes += book.commit(change, bytes, this.#sequence);
      this.#dirty.add(book);
    });
    return this.#sequence;
  }

  rollback(): void {
    this.#log.rollback(null, 0);
  }

  mark(asset: string, price: DecimalString): void {
    if (this.#marks.get(asset) === price && price !== undefined) return;
    if (!isDecimalString(price)) {
      throw new StateError(
        'ENTRY_INVALID',
        `mark of ${JSON.stringify(asset)}: expected a decimal string such as "150.25", got ${JSON.stringify(String(price).slice(0, 60))}`,
        { details: { asset } },
      );
    }
    this.#marks.set(asset, price);
    this.#marked.add(asset);
  }

  snapshot(): Snapshot {
    return Object.freeze({
      sequence: this.#sequence,
      epoch: this.#epoch,
      timestamp: this.#at(),
      strategies: Object.freeze(this.strategies().map((name) => this.register(name).snapshot())),
    });
  }

  /**
   * Everything committed and not taken yet, as one step (previous, through], with the last prices of held assets that changed
   * since they were last sampled where `sampleMarks` asks for them. Null where there is nothing to post. New last prices alone
   * count as a commit, so that every step has a sequence of its own.
   */
  takePost(sampleMarks = false): Post | null {
    const marks = sampleMarks ? this.#sampleMarks() : [];
    if (marks.length > 0 && this.#posted === this.#sequence) this.#advance();
    if (this.#posted === this.#sequence) return null;
    const strategies = this.#takeDeltas();
    const [previous, through] = [this.#posted, this.#sequence];
    const post = {
      delta:
        marks.length > 0
          ? { previous, through, at: this.#at(), strategies, marks }
          : { previous, through, at: this.#at(), strategies },
      sinceMs: this.#dirtySinceMs ?? this.#clock.monotonicMs(),
      events: this.#dirtyEvents,
    };
    this.#dirtyEvents = 0;
    this.#dirtyBytes = 0;
    this.#dirtySinceMs = null;
    this.#posted = through;
    return post;
  }

  /**
   * Everything that every strategy has at the last commit, as one step from `from`, with the events of the posts that `takeBack`
   * gives and those that no post took: in it where they fit, else in steps after it. Its cost is the size of the state: for a worker
   * that has lost what it had.
   * @throws StateError STATE_TOO_LARGE where one record cannot hold it: then nothing was taken back
   */
  takeWhole(from: number, takeBack: () => readonly Post[]): readonly Post[] {
    const wholes = this.strategies().map((name) => this.register(name).whole());
    assertOneRecord(wholes, this.#limits);
    const sinceMs = this.#dirtySinceMs;
    const kept = takeBack();
    const events = eventsOf([...kept, this.takePost()].filter((post) => post !== null));
    this.#sequence = Math.max(this.#sequence, from);
    let previous = from;
    const posts = wholePosts(wholes, events, this.#limits, (strategies, count) => {
      this.#advance();
      const delta = { previous, through: this.#sequence, at: this.#at(), strategies };
      previous = this.#sequence;
      return { delta, sinceMs: kept[0]?.sinceMs ?? sinceMs ?? this.#clock.monotonicMs(), events: count };
    });
    this.#posted = this.#sequence;
    this.#dirtySinceMs = null;
    return posts;
  }

  /**
   * What is dirty leaves as it is, without what is staged, where one record could not hold both (L1). What conflates does not count
   * twice: while nothing can be posted, the same entries set again and again make no more posts to keep.
   */
  #cutWhereFull(): void {
    const { postBytesMax } = this.#limits;
    if (this.#onCut === null || this.#dirtyBytes + this.#log.bytes <= postBytesMax) return;
    let growth = 0;
    this.#log.forEach((book, change, bytes) => {
      growth += book.growth(change, bytes);
    });
    if (this.#dirtyBytes + growth <= postBytesMax) return;
    const post = this.takePost();
    if (post !== null) this.#onCut(post);
  }

  #advance(): void {
    this.#sequence += 1;
    this.#committedMicros = this.#clock.nowMicros();
    this.#dirtySinceMs ??= this.#clock.monotonicMs();
  }

  #at(): Timestamp {
    return timestamp(this.#committedMicros);
  }

  #sampleMarks(): (readonly [string, DecimalString])[] {
    const marks: (readonly [string, DecimalString])[] = [];
    const stagedOver = this.#assetsStagedOver();
    for (const asset of this.#marked) {
      const price = this.#marks.get(asset);
      if (price !== undefined && (this.#totals.held.has(asset) || stagedOver.has(asset))) marks.push([asset, price]);
    }
    this.#marked.clear();
    return marks;
  }

  /** Held at the last commit, whether or not they are held now: what took them away may yet be rolled back. */
  #assetsStagedOver(): ReadonlySet<string> {
    const assets = new Set<string>();
    if (this.#log.isEmpty) return assets;
    for (const changes of this.#log.staged().values()) {
      for (const change of changes) {
        if (change.part === 'position' && change.previous !== undefined) assets.add(change.key);
      }
    }
    return assets;
  }

  #takeDeltas(): readonly StrategyDelta[] {
    const staged = this.#log.isEmpty ? null : this.#log.staged();
    const deltas: StrategyDelta[] = [];
    for (const book of this.#dirty) {
      const changes = staged?.get(book);
      deltas.push(book.takeDelta(changes === undefined ? nothingStaged : new CommittedView(changes)));
    }
    this.#dirty.clear();
    return deltas;
  }

  #committed(book: Book): CommittedView {
    if (this.#log.isEmpty) return nothingStaged;
    const changes = this.#log.staged().get(book);
    return changes === undefined ? nothingStaged : new CommittedView(changes);
  }
}
