import { checksumLine, checksumLineLength, checksumOf, partLines, partSum } from './checkpoint-checksum.ts';

/**
 * A checkpoint's bytes, and what the strategy's next one needs to take over from them: beside the bytes 4 more a line and 8 an
 * entry, and the entries that have been replaced since.
 */
export interface EncodedCheckpoint {
  readonly bytes: Buffer;
  readonly checksum: string;
  /** Where each line begins that the checksum covers, and where the last of them ends. */
  readonly starts: Uint32Array;
  /** Of the parts that the checksum is made of. */
  readonly sums: readonly string[];
  readonly lists: readonly EncodedList[];
}

interface EncodedList {
  readonly entries: readonly unknown[];
  /** The line of the first entry, counted from 0. */
  readonly first: number;
  /** Each key is greater than the one before. */
  readonly ascending: boolean;
}

export interface EntryForm<T> {
  readonly indent: string;
  key(entry: T): string;
  /** Without indent and comma. The entry must not change any more. */
  line(entry: T): string;
}

interface NewLines {
  lines: number;
  text: string;
}

/** Lines of an earlier checkpoint, from one of its lines on. */
interface KeptLines {
  readonly lines: number;
  readonly from: number;
  readonly of: EncodedCheckpoint;
}

const newline = 0x0a;

/**
 * A checkpoint, put together line by line. What entries have in common with the last one is copied from its bytes, and a part
 * that stands where it stood, with all its lines, is not summed again. The outcome is the same as without it.
 */
export class CheckpointText {
  readonly #last: EncodedCheckpoint | null;
  readonly #pieces: (NewLines | KeptLines)[] = [];
  readonly #lists: EncodedList[] = [];
  #lines = 0;

  constructor(last: EncodedCheckpoint | null) {
    this.#last = last;
  }

  line(text: string): void {
    this.#lines += 1;
    const piece = this.#pieces.at(-1);
    if (piece === undefined || 'of' in piece) {
      this.#pieces.push({ lines: 1, text: `${text}\n` });
    } else {
      piece.lines += 1;
      piece.text += `${text}\n`;
    }
  }

  /**
   * A line for each entry, with a comma after each but the last. An entry is the same as one of the last checkpoint where it is
   * the identical object or an equal string. Lists are told from each other by the order in which they come.
   * @returns true where the keys are known to ascend, so that none of them is there twice
   */
  list<T>(entries: readonly T[], form: EntryForm<T>): boolean {
    const last = this.#last?.lists[this.#lists.length];
    const old = (last?.entries ?? []) as readonly T[];
    const first = this.#lines;
    let ascending = last?.ascending ?? true;
    let next = 0;
    for (let at = 0; at < entries.length; ) {
      const entry = entries[at] as T;
      if (ascending && at > 0) ascending = form.key(entries[at - 1] as T) < form.key(entry);
      while (next < old.length && isPassed(old[next] as T, entry, form, last?.ascending === true)) next += 1;
      const same = sameFrom(old, next, entries, at);
      if (this.#last !== null && last !== undefined && same > 0) {
        this.#pieces.push({ lines: same, from: last.first + next, of: this.#last });
        this.#lines += same;
        next += same;
        at += same;
      } else {
        this.line(`${form.indent}${form.line(entry)}${at === entries.length - 1 ? '' : ','}`);
        at += 1;
      }
    }
    // Whoever made a list that is not frozen may still change it.
    this.#lists.push({ entries: Object.isFrozen(entries) ? entries : [...entries], first, ascending });
    return ascending;
  }

  /** @param room gives so many bytes, none of them among those of the last checkpoint */
  seal(room: (length: number) => Buffer): EncodedCheckpoint {
    const covered = this.#pieces.reduce((sum, piece) => sum + lengthOf(piece), 0);
    const bytes = room(covered + checksumLineLength);
    const starts = new Uint32Array(this.#lines + 1);
    const known: (string | undefined)[] = new Array(Math.ceil(this.#lines / partLines));
    let line = 0;
    for (const piece of this.#pieces) {
      if ('of' in piece) {
        copy(piece, line, bytes, starts);
        // Only where no line before it came or went are its parts cut where they were.
        if (piece.from === line) {
          const end = Math.floor((line + piece.lines) / partLines);
          for (let part = Math.ceil(line / partLines); part < end; part += 1) known[part] = piece.of.sums[part];
        }
      } else {
        write(piece, line, bytes, starts);
      }
      line += piece.lines;
    }
    const sums = Array.from(known, (sum, part) => {
      if (sum !== undefined) return sum;
      const from = part * partLines;
      return partSum(bytes.subarray(starts[from], starts[Math.min(from + partLines, line)]));
    });
    const checksum = checksumOf(sums);
    bytes.write(checksumLine(checksum), covered, 'latin1');
    return { bytes, checksum, starts, sums, lists: this.#lists };
  }
}

/** True where an entry of the last checkpoint is not to come any more, by the order that both lists have. */
function isPassed<T>(old: T, entry: T, form: EntryForm<T>, ascending: boolean): boolean {
  if (old === entry) return false;
  return ascending ? form.key(old) < form.key(entry) : form.key(old) !== form.key(entry);
}

/** How many entries are the same from here on, and have a comma in both or in neither. */
function sameFrom(old: readonly unknown[], next: number, entries: readonly unknown[], at: number): number {
  const most = Math.min(old.length - next, entries.length - at);
  let same = 0;
  while (same < most && old[next + same] === entries[at + same]) same += 1;
  const isEnd = next + same === old.length;
  return same > 0 && isEnd !== (at + same === entries.length) ? same - 1 : same;
}

function lengthOf(piece: NewLines | KeptLines): number {
  if (!('of' in piece)) return Buffer.byteLength(piece.text);
  const { starts } = piece.of;
  return (starts[piece.from + piece.lines] ?? 0) - (starts[piece.from] ?? 0);
}

function copy({ from, lines, of }: KeptLines, line: number, bytes: Buffer, starts: Uint32Array): void {
  const to = starts[line] ?? 0;
  const moved = to - (of.starts[from] ?? 0);
  bytes.set(of.bytes.subarray(of.starts[from], of.starts[from + lines]), to);
  for (let offset = 1; offset <= lines; offset += 1) starts[line + offset] = (of.starts[from + offset] ?? 0) + moved;
}

function write({ text, lines }: NewLines, line: number, bytes: Buffer, starts: Uint32Array): void {
  bytes.write(text, starts[line] ?? 0);
  for (let offset = 1; offset <= lines; offset += 1) {
    starts[line + offset] = bytes.indexOf(newline, starts[line + offset - 1]) + 1;
  }
}
