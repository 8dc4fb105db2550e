import { type FileOutcome, type ModelFile, outcomeOf } from './model-disk-file.ts';
import { type ModelNames, pathsOf, type Tree } from './model-disk-names.ts';
import { has, seededRandom, subsets } from './model-disk-random.ts';

/** A disk as somebody may find it: everything on it is durable. */
export interface DiskState {
  /** The same for the same names, contents and links. */
  readonly key: string;
  /** The same for the same names and links, whatever the contents are. */
  readonly names: string;
  /** Of a file's bytes; null where there is no such file. */
  digest(path: string): string | null;
  entries(): readonly DiskEntry[];
}

/** Sorted by path. Names of one inode are links to one file. */
export interface DiskEntry {
  readonly path: string;
  readonly inode: number;
  /** Null for a directory. */
  readonly bytes: Buffer | null;
}

export interface CrashStatesOptions {
  /** Beyond so many some are chosen by seed. Default 4,096. */
  readonly statesMax?: number;
  /** Default 1. */
  readonly seed?: number;
}

/** Distinct states; iterate once or often. */
export interface CrashStates extends Iterable<DiskState> {
  /** How many there are before states that look alike are counted as one. */
  readonly possible: number;
  /** False where `statesMax` or a bound on one file's blocks or on names left some out. */
  readonly exhaustive: boolean;
}

/** Blocks or names of which every subset is tried; of more, as many subsets chosen by seed. */
const subsetsMax = 1024;
const fileSubsetsMax = 64;

export function crashStates(
  names: ModelNames,
  files: ReadonlyMap<number, ModelFile>,
  order: 'any' | 'prefix',
  { statesMax = 4_096, seed = 1 }: CrashStatesOptions,
): CrashStates {
  const random = seededRandom(seed);
  const trees = crashTrees(names, order, random);
  const layouts = trees.masks.map((tree) => layoutOf(tree, (inode) => possible(files.get(inode), random)));
  const count = layouts.reduce((sum, layout) => sum + layout.count, 0);
  const all = count <= statesMax;
  return {
    possible: count,
    exhaustive: all && trees.all && layouts.every(({ all }) => all),
    *[Symbol.iterator]() {
      const seen = new Set<string>();
      const each = Math.max(2, Math.floor(statesMax / layouts.length));
      for (const layout of layouts) {
        for (const number of numbers(layout.count, all ? layout.count : each, random)) {
          const state = stateOf(layout, number);
          if (seen.has(state.key)) continue;
          seen.add(state.key);
          yield state;
        }
      }
    },
  };
}

/** One of the states, each step of the choice by itself: cheap where the states are many. */
export function randomCrashState(
  names: ModelNames,
  files: ReadonlyMap<number, ModelFile>,
  order: 'any' | 'prefix',
  random: () => number,
): DiskState {
  const count = names.pending.length;
  const cut = Math.floor(random() * (count + 1));
  const mask = names.pending.map(() => random() < 0.5);
  const asPrefix = order === 'prefix' || random() < 0.4;
  const tree = names.after((index) => (asPrefix ? index < cut : mask[index] === true));
  const layout = layoutOf(tree, (inode) => possible(files.get(inode), random));
  return stateOf(layout, Math.floor(random() * layout.count));
}

/** What there is now, cache and all: as a process finds it that starts after a kill. */
export function stateNow(names: ModelNames, files: ReadonlyMap<number, ModelFile>): DiskState {
  return stateOf(
    layoutOf(names.live, (inode) => whole(files.get(inode))),
    0,
  );
}

interface Layout {
  readonly paths: readonly (readonly [path: string, inode: number])[];
  readonly names: string;
  /** For each inode of a file: what may be in it. */
  readonly outcomes: ReadonlyMap<number, readonly FileOutcome[]>;
  readonly count: number;
  readonly all: boolean;
}

function crashTrees(
  names: ModelNames,
  order: 'any' | 'prefix',
  random: () => number,
): { readonly masks: readonly Tree[]; readonly all: boolean } {
  const count = names.pending.length;
  if (order === 'prefix') {
    const masks = Array.from({ length: count + 1 }, (_, kept) => names.after((index) => index < kept));
    return { masks, all: true };
  }
  const masks = subsets(count, subsetsMax, random);
  return { masks: masks.map((mask) => names.after((index) => has(mask, index))), all: 2 ** count <= subsetsMax };
}

/** @param outcomesOf null for a directory */
function layoutOf(tree: Tree, outcomesOf: (inode: number) => Outcomes | null): Layout {
  const paths = pathsOf(tree);
  const outcomes = new Map<number, readonly FileOutcome[]>();
  const first = new Map<number, string>();
  let names = '';
  let count = 1;
  let all = true;
  for (const [path, inode] of paths) {
    // A second name of a file is another state than a copy of it.
    names += `${path}${first.get(inode) ?? (tree.has(inode) ? '/' : '')}\n`;
    if (first.has(inode)) continue;
    first.set(inode, ` → ${path}`);
    const found = outcomesOf(inode);
    if (found === null) continue;
    outcomes.set(inode, found.list);
    count *= found.list.length;
    all &&= found.all;
  }
  return { paths, names, outcomes, count, all };
}

interface Outcomes {
  readonly list: readonly FileOutcome[];
  readonly all: boolean;
}

function possible(file: ModelFile | undefined, random: () => number): Outcomes | null {
  if (file === undefined) return null;
  return { list: file.outcomes(fileSubsetsMax, random), all: 2 ** file.uncertain <= fileSubsetsMax };
}

function whole(file: ModelFile | undefined): Outcomes | null {
  return file === undefined ? null : { list: [outcomeOf(file.cache)], all: true };
}

/** The state of a number from 0 to count − 1: a digit for each file. */
function stateOf({ paths, names, outcomes }: Layout, number: number): DiskState {
  const chosen = new Map<number, FileOutcome>();
  let key = names;
  let rest = number;
  for (const [inode, found] of outcomes) {
    const outcome = found[rest % found.length];
    rest = Math.floor(rest / found.length);
    if (outcome === undefined) continue;
    chosen.set(inode, outcome);
    key += `${outcome.digest}\n`;
  }
  return {
    key,
    names,
    digest(path) {
      const inode = paths.find(([at]) => at === path)?.[1];
      return inode === undefined ? null : (chosen.get(inode)?.digest ?? null);
    },
    entries: () => paths.map(([path, inode]) => ({ path, inode, bytes: chosen.get(inode)?.bytes ?? null })),
  };
}

function* numbers(count: number, most: number, random: () => number): Generator<number> {
  if (count <= most) {
    for (let number = 0; number < count; number += 1) yield number;
    return;
  }
  yield 0;
  yield count - 1;
  for (let drawn = 2; drawn < most; drawn += 1) yield Math.floor(random() * count);
}
