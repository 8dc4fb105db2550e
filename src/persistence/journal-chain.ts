import type { FileSystem } from './file-system.ts';
import type { SegmentName } from './journal-format.ts';
import { orderSegments } from './journal-order.ts';
import { readSegment, type ScannedDamage, type ScannedGroup, type SegmentScan, scanSegment } from './journal-scan.ts';
import { type Beginning, recordsOf, SegmentWalk } from './journal-walk.ts';

/*
 * What the journal can restore, found from the groups' headers. The rule (docs/decisions/0003-the-chain-rule.md):
 *
 * J1  A delta (previous, through] connects where `previous` is the sequence reached; where `through` is reached already it is a
 *     duplicate of a failed write, and skipped; otherwise there is a gap.
 * J2  An incarnation begins with a `segment` record that has a `from`, the whole state of every strategy, and `ready`. From there
 *     on it stands alone. Where its `from` is what was reached, it also continues what is before.
 * J3  An incarnation without `ready` and without deltas after it is void: the worker died in its beginning.
 * J4  The last connected run is what a restore uses. What is damaged before it matters only to a strategy without a start in it.
 */

/** Restore points of one epoch, as part of a run. */
export interface Span {
  readonly epoch: number;
  readonly first: number;
  last: number;
}

export interface ChainRun {
  epoch: number;
  /** The sequence reached: the restore point. */
  last: number;
  /** How many strategies the journal knows there. */
  strategies: number;
  readonly first: number;
  readonly spans: Span[];
  /** Strategies whose whole state stands at the beginning of an incarnation: the last such place. */
  readonly wholes: Map<string, { readonly epoch: number; readonly sequence: number; readonly file: string }>;
  /** Where to begin reading. */
  readonly start: { readonly index: number; readonly group: number };
}

export interface ChainSegment {
  /** Relative to the state directory. */
  readonly file: string;
  readonly name: SegmentName;
  readonly segment: number;
  /** In the file's bytes. */
  readonly bytes: number;
  readonly groups: number;
  readonly first: number;
  /** Through the last whole group. */
  readonly last: number;
  readonly damages: readonly ScannedDamage[];
  /** J3. */
  readonly void: boolean;
  /** The base of the incarnation that begins here, where one does. */
  readonly begins: number | null;
  /** The base currency that its opening names; null where it is lost or names none. */
  readonly currency: string | null;
}

/** Between two runs: what should have connected `reached` with `found` is not there. */
export interface ChainGap {
  readonly fromIndex: number;
  readonly toIndex: number;
  readonly reached: number;
  readonly found: number;
}

/** An incarnation stood on `from`: what older ones had beyond it is abandoned. */
export interface Cut {
  readonly epoch: number;
  readonly from: { readonly epoch: number; readonly sequence: number };
  readonly base: number;
}

export interface JournalChain {
  /** In the order of their numbers. */
  readonly segments: readonly ChainSegment[];
  readonly foreign: readonly string[];
  readonly run: ChainRun | null;
  readonly gaps: readonly ChainGap[];
  readonly cuts: readonly Cut[];
  /** The highest of what whole groups and names tell. */
  readonly sequenceMax: number;
  readonly epochMax: number;
  readonly nextSegment: number;
}

/**
 * Reads every segment once and finds the last connected run. Null where a file has gone since it was listed.
 * @throws StateError READ_FAILED or FORMAT_NEWER, CheckpointCorrupted JOURNAL_DAMAGED where a right CRC covers what is no record
 */
export function readChain(fs: FileSystem, directory: string): JournalChain | null {
  const corrections = new Map<string, number>();
  for (;;) {
    const ordered = orderSegments(fs, directory, corrections);
    if (ordered === null) return null;
    const builder = new ChainBuilder();
    let inOrder = true;
    for (const { file, name, segment } of ordered.segments) {
      const bytes = readSegment(fs, directory, file);
      if (bytes === null) return null;
      const scan = scanSegment(bytes, name);
      // The number was taken from a header whose CRC nobody had looked at: with the true one the order is another.
      if (scan.segment !== null && scan.segment !== segment && !corrections.has(file)) {
        corrections.set(file, scan.segment);
        inOrder = false;
      }
      builder.add({ file, name, segment }, bytes, scan);
    }
    if (inOrder) return builder.chain(ordered.foreign);
  }
}

class ChainBuilder {
  readonly #segments: ChainSegment[] = [];
  readonly #gaps: ChainGap[] = [];
  readonly #cuts: Cut[] = [];
  #run: ChainRun | null = null;
  /** Of the last segment that added to the run. */
  #runIndex = 0;

  add(
    listed: { readonly file: string; readonly name: SegmentName; readonly segment: number },
    bytes: Buffer,
    scan: SegmentScan,
  ): void {
    const index = this.#segments.length;
    const { file, name } = listed;
    const walk = new SegmentWalk(file, bytes, scan);
    for (const group of scan.groups) {
      const step = walk.next(group);
      if (step.begun !== null) this.#begin(step.begun, file, index, group, scan);
      if (step.connects) this.#connect(file, bytes, group, index);
    }
    const last = scan.groups.at(-1)?.header.last ?? name.first;
    this.#segments.push({
      file,
      name,
      segment: scan.segment ?? listed.segment,
      bytes: bytes.length,
      groups: scan.groups.length,
      first: scan.groups[0]?.header.first ?? name.first,
      last: Math.max(last, name.first),
      damages: scan.damages,
      void: walk.isVoid,
      begins: walk.begun,
      currency: walk.currency,
    });
  }

  chain(foreign: readonly string[]): JournalChain {
    const segments = this.#segments;
    const unread = segments.filter(({ groups }) => groups === 0).length;
    return {
      segments,
      foreign,
      run: this.#run,
      gaps: this.#gaps,
      cuts: this.#cuts,
      sequenceMax: segments.reduce((most, { last }) => Math.max(most, last), 0),
      epochMax: segments.reduce((most, { name }) => Math.max(most, name.epoch), 0),
      // A file without a whole group may have had any number after the last that is known.
      nextSegment: segments.reduce((most, { segment }) => Math.max(most, Math.floor(segment)), 0) + 1 + unread,
    };
  }

  #begin(beginning: Beginning, file: string, index: number, { header }: ScannedGroup, scan: SegmentScan): void {
    const { from, base } = beginning;
    const run = this.#run;
    const stoodOn = from ?? { epoch: header.epoch, sequence: base };
    const wholes = [...beginning.names].map((name) => [name, { epoch: header.epoch, sequence: base, file }] as const);
    if (from !== null) this.#cuts.push({ epoch: header.epoch, from, base });
    if (run !== null && run.epoch === stoodOn.epoch && run.last === stoodOn.sequence) {
      run.epoch = header.epoch;
      run.last = base;
      run.strategies = header.strategies;
      run.spans.push({ epoch: header.epoch, first: base, last: base });
      for (const [name, whole] of wholes) run.wholes.set(name, whole);
    } else {
      if (from === null && run !== null) this.#gap(index, base);
      const spans = [{ epoch: header.epoch, first: base, last: base }];
      if (from !== null) spans.unshift({ epoch: from.epoch, first: from.sequence, last: from.sequence });
      const start = { index, group: scan.groups[0]?.header.group ?? header.group };
      this.#run = {
        epoch: header.epoch,
        last: base,
        strategies: header.strategies,
        first: base,
        spans,
        wholes: new Map(wholes),
        start,
      };
    }
    this.#runIndex = index;
  }

  #connect(file: string, bytes: Buffer, group: ScannedGroup, index: number): void {
    const { epoch, first, last, strategies } = group.header;
    const run = this.#run;
    if (run === null || run.epoch !== epoch || !connects(run.last, file, bytes, group)) {
      if (run !== null) this.#gap(index, first);
      const start = { index, group: group.header.group };
      this.#run = { epoch, last, strategies, first, spans: [{ epoch, first, last }], wholes: new Map(), start };
    } else if (last >= run.last) {
      run.last = last;
      run.strategies = strategies;
      const span = run.spans.at(-1);
      if (span !== undefined) span.last = last;
    }
    this.#runIndex = index;
  }

  #gap(toIndex: number, found: number): void {
    this.#gaps.push({ fromIndex: this.#runIndex, toIndex, reached: this.#run?.last ?? 0, found });
  }
}

/** J1, from the header alone where that is enough. */
function connects(reached: number, file: string, bytes: Buffer, group: ScannedGroup): boolean {
  const { first, last } = group.header;
  if (last <= reached || first === reached) return true;
  if (first > reached) return false;
  // A failed write came again together with what followed it: one of the deltas inside must begin where we are.
  return recordsOf(file, bytes, group).some((record) => record.kind === 'delta' && record.previous === reached);
}
