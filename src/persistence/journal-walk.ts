import { CheckpointCorrupted, StateError } from '../model/errors.ts';
import { decodeRecords, outlineRecords, type WholeOutline } from './journal-records.ts';
import type { ScannedGroup, SegmentScan } from './journal-scan.ts';
import type { JournalRecord } from './records.ts';

/** What an incarnation wrote first: what it stood on, and the strategies whose whole state stands there. */
export interface Beginning {
  readonly from: { readonly epoch: number; readonly sequence: number } | null;
  readonly base: number;
  readonly names: Set<string>;
}

/** Goes through one segment's groups and tells where an incarnation's beginning ends. */
export class SegmentWalk {
  readonly #file: string;
  readonly #bytes: Buffer;
  readonly #openingIsLost: boolean;
  #state: 'opening' | 'beginning' | 'running' = 'opening';
  #beginning: Beginning | null = null;
  #begun: number | null = null;
  #currency: string | null = null;

  constructor(file: string, bytes: Buffer, scan: SegmentScan) {
    this.#file = file;
    this.#bytes = bytes;
    this.#openingIsLost = scan.groups[0]?.header.group !== 1;
  }

  get isVoid(): boolean {
    return this.#state === 'beginning';
  }

  get begun(): number | null {
    return this.#begun;
  }

  get currency(): string | null {
    return this.#currency;
  }

  /** `begun`: a beginning is complete with this group. `connects`: the group is one of those that follow. */
  next(group: ScannedGroup): { readonly begun: Beginning | null; readonly connects: boolean } {
    const { first, last } = group.header;
    if (this.#state === 'running') return { begun: null, connects: true };
    if (first < last && (this.#openingIsLost || this.#state === 'beginning')) {
      // No delta is taken before the beginning is durable, so the group with `ready` was there, and is damaged.
      return { begun: this.#complete(), connects: true };
    }
    for (const record of outlinesOf(this.#file, this.#bytes, group, () => true)) {
      if (record.kind === 'whole') {
        this.#expect(null, record.sequence).names.add(record.strategy);
      } else if (record.kind === 'segment') {
        this.#currency = record.currency ?? null;
        if (record.from === null) {
          this.#state = 'running';
          break;
        }
        this.#expect(record.from, record.base);
      } else if (record.kind === 'delta' && record.previous === record.through) {
        const beginning = this.#expect(null, record.through);
        for (const change of record.strategies) if (change.whole === true) beginning.names.add(change.strategy);
      } else if (record.kind === 'ready') {
        this.#expect(null, record.base);
        return { begun: this.#complete(), connects: false };
      }
    }
    return { begun: null, connects: this.#state !== 'beginning' };
  }

  #expect(from: Beginning['from'], base: number): Beginning {
    this.#state = 'beginning';
    this.#beginning ??= { from, base, names: new Set() };
    return this.#beginning;
  }

  #complete(): Beginning | null {
    this.#state = 'running';
    this.#begun = this.#beginning?.base ?? null;
    return this.#beginning;
  }
}

/** The records of one group. @throws StateError FORMAT_NEWER, CheckpointCorrupted JOURNAL_DAMAGED where a right CRC covers what is no record */
export function recordsOf(file: string, bytes: Buffer, group: ScannedGroup): JournalRecord[] {
  return named(file, group, () => decodeRecords(bytes, group.body, group.header.bytes));
}

/** The same, but as outlineRecords() gives them. */
export function outlinesOf(
  file: string,
  bytes: Buffer,
  group: ScannedGroup,
  isEnough: (whole: WholeOutline) => boolean,
): (JournalRecord | WholeOutline)[] {
  return named(file, group, () => outlineRecords(bytes, group.body, group.header.bytes, isEnough));
}

function named<T>(file: string, group: ScannedGroup, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof StateError)) throw error;
    const details = { path: file, offset: group.offset, group: group.header.group };
    if (error.code === 'FORMAT_NEWER') {
      throw new StateError('FORMAT_NEWER', `${file}: ${error.message}. It was not touched.`, { cause: error, details });
    }
    throw new CheckpointCorrupted(
      'JOURNAL_DAMAGED',
      `${file}, group ${group.header.group} at byte ${group.offset}: its CRC is right, but ${error.message}. No release of Holdfast ` +
        'wrote this; nothing was changed. Move the file away if another program made it.',
      { cause: error, details },
    );
  }
}
