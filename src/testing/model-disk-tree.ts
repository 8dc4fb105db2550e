import { basename, dirname } from 'node:path';
import type { DiskState } from './model-disk-crash.ts';
import { ModelFile } from './model-disk-file.ts';
import { rootInode, type Tree } from './model-disk-names.ts';

/** What a state says as the directories and files of a disk on which everything is durable. */
export function diskOf(state: DiskState): {
  readonly tree: Tree;
  readonly files: ReadonlyMap<number, ModelFile>;
  readonly last: number;
} {
  const tree = new Map([[rootInode, new Map<string, number>()]]);
  const directories = new Map([['/', rootInode]]);
  const files = new Map<number, ModelFile>();
  let last = rootInode;
  for (const { path, inode, bytes } of state.entries()) {
    // Sorted by path, so a directory comes before what is in it.
    tree.get(directories.get(dirname(path)) ?? rootInode)?.set(basename(path), inode);
    last = Math.max(last, inode);
    if (bytes !== null) {
      files.set(inode, new ModelFile(inode, bytes));
      continue;
    }
    directories.set(path, inode);
    tree.set(inode, new Map());
  }
  return { tree, files, last };
}
