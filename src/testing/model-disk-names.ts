/** Entries of each directory, by the directory's inode. */
export type Tree = Map<number, Map<string, number>>;

/** One entry that an operation sets, or takes away if it still leads to `inode`. */
interface EntryChange {
  readonly directory: number;
  readonly name: string;
  readonly inode: number;
  readonly present: boolean;
}

/** A create, link, unlink, mkdir, or rename: it is on the disk whole or not at all, as a journalling file system keeps it. */
export type NameOperation = readonly EntryChange[];

export const rootInode = 1;

/** Directories: what reads show, what is surely on the disk, and the operations in between, oldest first. */
export class ModelNames {
  readonly live: Tree;
  readonly #durable: Tree;
  #pending: readonly NameOperation[] = [];

  constructor(tree: Tree = new Map([[rootInode, new Map()]])) {
    this.live = tree;
    this.#durable = copied(tree);
  }

  clone(): ModelNames {
    const clone = new ModelNames(copied(this.#durable));
    for (const [directory, entries] of this.live) clone.live.set(directory, new Map(entries));
    clone.#pending = this.#pending;
    return clone;
  }

  get pending(): readonly NameOperation[] {
    return this.#pending;
  }

  change(operation: NameOperation): void {
    apply(this.live, operation);
    this.#pending = [...this.#pending, operation];
  }

  /** A new directory's own entries, none yet. */
  addDirectory(inode: number): void {
    this.live.set(inode, new Map());
    this.#durable.set(inode, new Map());
  }

  syncAll(): void {
    for (const operation of this.#pending) apply(this.#durable, operation);
    this.#pending = [];
  }

  /** Makes durable what touches the directory, and what came before on the same entries elsewhere. */
  sync(directory: number): void {
    const due = new Set(
      this.#pending.filter((operation) => operation.some((change) => change.directory === directory)),
    );
    for (const operation of this.#pending) {
      if ([...due].some((other) => isBefore(this.#pending, operation, other) && shareEntry(operation, other))) {
        due.add(operation);
      }
    }
    for (const operation of this.#pending) if (due.has(operation)) apply(this.#durable, operation);
    this.#pending = this.#pending.filter((operation) => !due.has(operation));
  }

  /** The tree that is on the disk if of the pending operations those that `happened` tells reached it. */
  after(happened: (index: number) => boolean): Tree {
    const tree: Tree = new Map(this.#durable);
    for (const [index, operation] of this.#pending.entries()) {
      if (!happened(index)) continue;
      for (const { directory } of operation) {
        const entries = tree.get(directory);
        // Copied on the first change: most directories have none.
        if (entries === this.#durable.get(directory)) tree.set(directory, new Map(entries));
      }
      apply(tree, operation);
    }
    return tree;
  }
}

/** Everything below the root, by path, sorted: inodes of directories are those that the tree knows as such. */
export function pathsOf(tree: Tree): (readonly [path: string, inode: number])[] {
  const paths: (readonly [string, number])[] = [];
  const walk = (directory: number, prefix: string): void => {
    for (const [name, inode] of tree.get(directory) ?? []) {
      const path = `${prefix}/${name}`;
      paths.push([path, inode]);
      if (tree.has(inode)) walk(inode, path);
    }
  };
  walk(rootInode, '');
  return paths.sort(([a], [b]) => (a < b ? -1 : 1));
}

function apply(tree: Tree, operation: NameOperation): void {
  for (const { directory, name, inode, present } of operation) {
    const entries = tree.get(directory);
    if (present) entries?.set(name, inode);
    else if (entries?.get(name) === inode) entries.delete(name);
  }
}

function isBefore(all: readonly NameOperation[], a: NameOperation, b: NameOperation): boolean {
  return all.indexOf(a) < all.indexOf(b);
}

function shareEntry(a: NameOperation, b: NameOperation): boolean {
  return a.some((one) => b.some((other) => one.directory === other.directory && one.name === other.name));
}

function copied(tree: Tree): Tree {
  return new Map([...tree].map(([directory, entries]) => [directory, new Map(entries)]));
}
