import { basename, dirname, join } from 'node:path';
import { isErrno } from './errno.ts';
import type { FileStat, FileSystem } from './file-system.ts';
import { quarantineDirectory } from './state-directory.ts';
import { withStage, writeFully } from './write-file.ts';

/**
 * Moves `file` (relative to the state directory) to quarantine/ and returns its new relative name. What is in quarantine/ already
 * stays: the new name ends in the first number that is free. The reason is written beside it as a text file. Both directories
 * are fsynced.
 * @throws StateError WRITE_FAILED; `file` then still has its old name
 */
export function quarantine(fs: FileSystem, directory: string, file: string, why: string): string {
  const from = join(directory, file);
  const stat = withStage('read', from, () => fs.lstat(from));
  withStage('open', join(directory, quarantineDirectory), () => fs.mkdir(join(directory, quarantineDirectory)));
  for (let number = 1; ; number++) {
    const kept = join(quarantineDirectory, `${basename(file)}.${number}`);
    const to = join(directory, kept);
    if (!move(fs, from, stat, to)) continue;
    explain(fs, `${to}.why.txt`, `${file}: ${why}\n`);
    for (const changed of [dirname(to), dirname(from)]) {
      withStage('directory fsync', changed, () => fs.fsyncDirectory(changed));
    }
    return kept;
  }
}

/** False where `to` is taken by something else. A rename would replace it, so files get a second name and then lose the first. */
function move(fs: FileSystem, from: string, stat: FileStat, to: string): boolean {
  if (stat.kind === 'directory') {
    if (exists(fs, to)) return false;
    withStage('rename', from, () => fs.rename(from, to));
    return true;
  }
  try {
    withStage('link', from, () => fs.link(from, to));
  } catch (error) {
    if (!(error instanceof Error) || !isErrno(error.cause, 'EEXIST')) throw error;
    // A crash after the link left both names: then only the first has to go.
    if (fs.lstat(to).inode !== stat.inode) return false;
  }
  withStage('unlink', from, () => fs.unlink(from));
  return true;
}

/** The note is a convenience: that it can't be written must not keep damaged bytes in the place of true ones. */
function explain(fs: FileSystem, path: string, text: string): void {
  try {
    const file = fs.create(path);
    try {
      writeFully(fs, file, Buffer.from(text), 0);
    } finally {
      fs.close(file);
    }
  } catch {
    // The same words are in the recovery that the restore reports.
  }
}

function exists(fs: FileSystem, path: string): boolean {
  try {
    fs.lstat(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
