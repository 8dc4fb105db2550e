import type { FileSystem } from './file-system.ts';
import { headerBytesMax, parseHeader, type SegmentName } from './journal-format.ts';
import { listSegments, readSegment, type SegmentFile } from './journal-scan.ts';

export interface OrderedSegment extends SegmentFile {
  readonly name: SegmentName;
  /** Its number; where none can be read, half a number above its predecessor by name. */
  readonly segment: number;
}

/**
 * The segments in the order of the numbers inside them, which their first header tells. A name's order is nearly the same and
 * serves where that header can't be read. Null where a file has gone since it was listed.
 * @param corrections numbers that are known better
 */
export function orderSegments(
  fs: FileSystem,
  directory: string,
  corrections: ReadonlyMap<string, number>,
): { readonly segments: readonly OrderedSegment[]; readonly foreign: readonly string[] } | null {
  const listed = listSegments(fs, directory);
  const segments: OrderedSegment[] = [];
  let before = 0;
  for (const { file, name } of [...listed.segments].sort(byName)) {
    let segment = corrections.get(file) ?? name.segment;
    if (segment === null) {
      const bytes = readSegment(fs, directory, file, headerBytesMax);
      if (bytes === null) return null;
      const header = parseHeader(bytes, 0)?.header;
      const isOwn = header?.group === 1 && header.epoch === name.epoch && header.first === name.first;
      segment = isOwn ? header.segment : before + 0.5;
    }
    segments.push({ file, name, segment });
    before = Math.floor(segment);
  }
  return { segments: segments.sort((a, b) => a.segment - b.segment), foreign: listed.foreign };
}

function byName({ name: a }: SegmentFile, { name: b }: SegmentFile): number {
  return a.epoch - b.epoch || a.first - b.first || (a.segment ?? 0) - (b.segment ?? 0);
}
