import type { FileSystem } from '../../src/persistence/file-system.ts';
import type { PersistenceOptions } from '../../src/persistence/protocol.ts';
import {
  type DiskState,
  type ModelCall,
  ModelDisk,
  type ModelDiskOptions,
  seededRandom,
} from '../../src/testing/model-disk.ts';
import { type Expectation, type Found, found, frozen, whyBroken } from './crash-expectation.ts';

export interface ExplorerOptions {
  /** What stands between persistence and the disk: nothing, or a mutant. */
  readonly wrap?: (disk: ModelDisk) => FileSystem;
  readonly disk?: ModelDiskOptions;
  readonly host?: Partial<PersistenceOptions>;
  /** As of CrashStatesOptions. */
  readonly statesMax?: number;
  readonly seed?: number;
  /** Look no further once so many crashes were bad. */
  readonly badMax?: number;
  /** Instead of every disk at every crash point one disk by chance, with this probability. */
  readonly chance?: number;
}

export interface ExplorerCounts {
  /** Moments between two calls. */
  crashPoints: number;
  /** Pairs of a moment and a disk that may be found then; each was judged. */
  states: number;
  /** Of these, disks that differ in something that a restore looks at: each was restored. */
  disks: number;
  /** Moments with more disks than the bound, of which some were taken by seed. */
  sampled: number;
  ms: number;
}

/** A crash that broke the invariant: where, and how. */
export interface Bad {
  readonly where: string;
  readonly why: string;
}

export const noCounts: ExplorerCounts = { crashPoints: 0, states: 0, disks: 0, sampled: 0, ms: 0 };

/** Crashes a disk before each call that changes it, in every way, and judges what a restore gives. */
export class Explorer {
  readonly counts: ExplorerCounts = { ...noCounts };
  /** The first of them. */
  readonly bad: Bad[] = [];
  badCount = 0;
  /** What {@link arm} asked for. */
  captured: { readonly disk: ModelDisk; readonly expected: Expectation } | null = null;
  #armed = 0;
  readonly #random: () => number;
  readonly options: ExplorerOptions;
  /** By names, then by what was looked at. */
  readonly #found = new Map<string, Map<string, Trace>>();
  /** Told of each disk that was not seen before. */
  onDisk: (state: DiskState, result: Found) => void = () => {};
  /** Told of each moment. */
  onCrashPoint: (disk: ModelDisk, expected: Expectation, where: () => string) => void = () => {};

  constructor(options: ExplorerOptions = {}) {
    this.options = options;
    this.#random = seededRandom(options.seed ?? 1);
  }

  fileSystem(disk: ModelDisk): FileSystem {
    return this.options.wrap?.(disk) ?? disk;
  }

  /** From now on every call on the disk is a crash point. */
  watch(disk: ModelDisk, expected: () => Expectation, what: string): void {
    disk.before = (call) => {
      this.#armed -= 1;
      if (this.#armed === 0) this.captured = { disk: disk.clone(), expected: frozen(expected()) };
      this.look(disk, expected(), () => `${what}, before ${described(call)}`);
    };
  }

  /** The crash of a random program: before the call that comes as the nth from now the disk is kept as it is then. */
  arm(calls: number): void {
    this.#armed = calls;
    this.captured = null;
  }

  /** A crash now. */
  look(disk: ModelDisk, expected: Expectation, where: () => string): void {
    const { badMax = Number.POSITIVE_INFINITY } = this.options;
    this.counts.crashPoints += 1;
    if (this.badCount >= badMax) return;
    const started = performance.now();
    for (const state of this.#states(disk)) {
      this.counts.states += 1;
      const why = whyBroken(this.#result(state), state, expected);
      if (why !== null) this.fail(where(), `${why}\n${state.names}`);
      if (this.badCount >= badMax) break;
    }
    this.counts.ms += performance.now() - started;
    this.onCrashPoint(disk, expected, where);
  }

  fail(where: string, why: string): void {
    this.badCount += 1;
    if (this.bad.length < 100) this.bad.push({ where, why });
  }

  #states(disk: ModelDisk): Iterable<DiskState> {
    const { statesMax = 4_096, seed = 1, chance = null } = this.options;
    if (chance !== null) return this.#random() < chance ? [disk.randomCrashState(this.#random)] : [];
    const states = disk.crashStates({ statesMax, seed: seed + this.counts.crashPoints });
    if (!states.exhaustive) this.counts.sampled += 1;
    return states;
  }

  #result(state: DiskState): Found {
    const traces = getOrMake(this.#found, state.names, () => new Map<string, Trace>());
    for (const { paths, results } of traces.values()) {
      const known = results.get(digests(state, paths));
      if (known !== undefined) return known;
    }
    const disk = ModelDisk.from(state, this.options.disk);
    const result = found(this.fileSystem(disk));
    const paths = [...disk.looked].sort();
    getOrMake(traces, paths.join('\n'), () => ({ paths, results: new Map() })).results.set(
      digests(state, paths),
      result,
    );
    this.counts.disks += 1;
    this.onDisk(state, result);
    return result;
  }
}

/** A restore sees names, and the contents of the files that it looks at: where these are the same, its result is. */
interface Trace {
  readonly paths: readonly string[];
  readonly results: Map<string, Found>;
}

function digests(state: DiskState, paths: readonly string[]): string {
  let text = '';
  for (const path of paths) text += state.digest(path) ?? '-';
  return text;
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

export function described({ number, call, path, to }: ModelCall): string {
  return `call ${number}, ${call} ${path}${to === null ? '' : ` to ${to}`}`;
}

/** The counts as one line for a person. */
export function countsLine({ crashPoints, states, disks, sampled, ms }: ExplorerCounts, bad: number): string {
  const perSecond = Math.round(states / (ms / 1000));
  const bound = sampled === 0 ? 'all of them' : `${sampled} crash points sampled beyond the bound`;
  return `${crashPoints} crash points, ${states} states explored (${bound}), ${disks} different disks restored, ${perSecond} states a second, bad = ${bad}`;
}

/** A choice of `most` out of what comes, each as likely as the other, made as it comes. */
export class Reservoir<T> {
  readonly kept: T[] = [];
  #seen = 0;
  readonly #most: number;
  readonly #random: () => number;

  constructor(most: number, seed: number) {
    this.#most = most;
    this.#random = seededRandom(seed);
  }

  offer(make: () => T): void {
    this.#seen += 1;
    if (this.kept.length < this.#most) {
      this.kept.push(make());
      return;
    }
    const place = Math.floor(this.#random() * this.#seen);
    if (place < this.#most) this.kept[place] = make();
  }
}
