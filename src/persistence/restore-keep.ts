import { basename, join } from 'node:path';
import { StateError } from '../model/errors.ts';
import { isErrno } from './errno.ts';
import type { FileSystem } from './file-system.ts';
import type { JournalDamage } from './journal-damage.ts';
import { readSegment } from './journal-scan.ts';
import { quarantineDirectory } from './state-directory.ts';
import { withStage, writeFully } from './write-file.ts';

/**
 * Keeps damaged parts of the journal in quarantine/ before retention can delete them: of a torn end the bytes, of a damaged
 * segment the whole file under a second name. The journal itself is left as it is, so there is no step at which a crash could
 * leave it cut and the copy missing. What is kept already is not kept again. Returns names relative to the state directory.
 * @throws StateError WRITE_FAILED or READ_FAILED
 */
export function keepDamages(fs: FileSystem, directory: string, damages: readonly JournalDamage[]): readonly string[] {
  const kept = new Set<string>();
  const folder = join(directory, quarantineDirectory);
  const worth = damages.filter(({ role }) => role !== 'superseded');
  if (worth.length > 0) withStage('open', folder, () => fs.mkdir(folder));
  for (const { file, damage, role } of worth) {
    kept.add(role === 'torn' ? keepBytes(fs, directory, file, damage) : keepFile(fs, directory, file));
  }
  if (kept.size > 0) {
    for (const changed of [folder, directory]) withStage('directory fsync', changed, () => fs.fsyncDirectory(changed));
  }
  return [...kept];
}

function keepBytes(fs: FileSystem, directory: string, file: string, damage: JournalDamage['damage']): string {
  const { offset, bytes } = damage;
  const tail = readSegment(fs, directory, file)?.subarray(offset, offset + bytes) ?? Buffer.alloc(0);
  for (let number = 1; ; number++) {
    const kept = join(quarantineDirectory, `${basename(file)}.${offset}-${offset + bytes}.torn.${number}`);
    if (createWith(fs, join(directory, kept), tail) || readSegment(fs, directory, kept)?.equals(tail) === true)
      return kept;
  }
}

/** False where the name is taken, perhaps by a copy that a crash cut short. */
function createWith(fs: FileSystem, path: string, bytes: Buffer): boolean {
  const handle = unlessTaken(() => withStage('open', path, () => fs.create(path)));
  if (handle === null) return false;
  try {
    writeFully(fs, handle, bytes, 0);
    withStage('fsync', path, () => fs.fsync(handle));
  } finally {
    fs.close(handle);
  }
  return true;
}

function keepFile(fs: FileSystem, directory: string, file: string): string {
  const from = join(directory, file);
  const { inode } = withStage('read', from, () => fs.lstat(from));
  for (let number = 1; ; number++) {
    const kept = join(quarantineDirectory, `${basename(file)}.${number}`);
    const to = join(directory, kept);
    const linked = unlessTaken(() => {
      withStage('link', to, () => fs.link(from, to));
      return true;
    });
    if (linked === true || withStage('read', to, () => fs.lstat(to)).inode === inode) return kept;
  }
}

function unlessTaken<T>(call: () => T): T | null {
  try {
    return call();
  } catch (error) {
    if (error instanceof StateError && isErrno(error.cause, 'EEXIST')) return null;
    throw error;
  }
}
