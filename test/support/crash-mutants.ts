import { basename, dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { isTemporaryName } from '../../src/persistence/checkpoint-names.ts';
import { errnoError } from '../../src/persistence/errno.ts';
import type { FileHandle, FileSystem } from '../../src/persistence/file-system.ts';
import { parseHeader } from '../../src/persistence/journal-format.ts';
import type { ModelDisk } from '../../src/testing/model-disk.ts';
import type { CrashProgram } from './crash-programs.ts';

/** Our own code, deliberately broken, by what stands between it and the disk: nothing of it is in src. */
export interface CrashMutant {
  readonly name: string;
  /** Of the fault matrix: what is to catch it. */
  readonly row: number;
  /** Which program of that row, by name. */
  readonly program: string;
  wrap(disk: ModelDisk): FileSystem;
}

export const crashMutants: readonly CrashMutant[] = [
  {
    name: 'no file fsync',
    row: 1,
    program: 'five batches of two strategies, older generations pruned',
    wrap: (disk) => over(disk, { fsync() {}, fdatasync() {} }),
  },
  {
    name: 'no directory fsync',
    row: 1,
    program: 'five batches of two strategies, older generations pruned',
    wrap: (disk) => over(disk, { fsyncDirectory() {} }),
  },
  {
    name: 'fsync after rename',
    row: 1,
    program: 'four saves of one strategy',
    wrap(disk) {
      const late = new Map<string, FileHandle>();
      return over(disk, {
        fsync(file) {
          late.set(file.path, file);
        },
        close(file) {
          if (!late.has(file.path)) disk.close(file);
        },
        rename(from, to) {
          disk.rename(from, to);
          const file = late.get(from);
          if (file === undefined) return;
          disk.fsync(file);
          disk.close(file);
          late.delete(from);
        },
      });
    },
  },
  {
    name: 'write in place',
    row: 1,
    program: 'four saves of one strategy',
    wrap: (disk) =>
      over(disk, {
        rename(from, to) {
          if (!disk.readdir(dirname(to)).includes(basename(to))) {
            disk.rename(from, to);
            return;
          }
          const { bytes } =
            disk
              .state()
              .entries()
              .find(({ path }) => path === from) ?? {};
          const file = disk.openWrite(to);
          disk.truncate(file, 0);
          disk.write(file, bytes ?? Buffer.alloc(0), 0, bytes?.length ?? 0, 0);
          disk.fsync(file);
          disk.close(file);
          disk.unlink(from);
        },
      }),
  },
  {
    name: 'count ignored',
    row: 1,
    program: 'writes that take 100 bytes at a time',
    wrap: (disk) =>
      over(disk, {
        write(file, bytes, offset, length, position) {
          disk.write(file, bytes, offset, length, position);
          return length;
        },
      }),
  },
  {
    name: 'fixed temp name',
    row: 11,
    program: 'the temporary file of a failed save cannot be removed',
    wrap(disk) {
      const fixed = (path: string): string =>
        isTemporaryName(basename(path))
          ? path.replace(/[0-9a-f]{16}\.tmp$/, '0000000000000000.tmp').replace(/\.\d+-\d+\./, '.')
          : path;
      return over(disk, {
        create: (path) => disk.create(fixed(path)),
        rename: (from, to) => disk.rename(fixed(from), to),
        unlink: (path) => disk.unlink(fixed(path)),
      });
    },
  },
  {
    name: 'fsync retried',
    row: 11,
    program: 'the fsync of the journal fails, and the process is killed',
    wrap(disk) {
      const twice = (sync: (file: FileHandle) => void) => (file: FileHandle) => {
        try {
          sync(file);
        } catch {
          sync(file);
        }
      };
      return over(disk, { fsync: twice((file) => disk.fsync(file)), fdatasync: twice((file) => disk.fdatasync(file)) });
    },
  },
  {
    name: 'ack before directory fsync',
    row: 1,
    program: 'four saves of one strategy',
    wrap(disk) {
      // The directory waits for the next call of any kind, by when the acknowledgement is out.
      const due = new Set<string>();
      const first = (): void => {
        for (const path of due) {
          due.delete(path);
          disk.fsyncDirectory(path);
        }
      };
      return over(disk, {
        fsyncDirectory(path) {
          first();
          due.add(path);
        },
        create(path) {
          first();
          return disk.create(path);
        },
        write(...args) {
          first();
          return disk.write(...args);
        },
      });
    },
  },
  {
    name: 'no CRC',
    row: 1,
    program: 'groups of several blocks',
    wrap: (disk) =>
      over(disk, {
        read(file, bytes, offset, length, position) {
          if (!file.path.endsWith('.journal')) return disk.read(file, bytes, offset, length, position);
          const whole = Buffer.alloc(disk.lstat(file.path).size);
          disk.read(file, whole, 0, whole.length, 0);
          const part = withRightCrcs(whole).subarray(position, position + length);
          bytes.set(part, offset);
          return part.length;
        },
      }),
  },
  {
    name: 'temp not swept',
    row: 5,
    program: 'four saves of one strategy',
    wrap: (disk) =>
      over(disk, {
        unlink(path) {
          if (!isTemporaryName(basename(path))) disk.unlink(path);
        },
      }),
  },
  {
    name: 'checkpoint renamed before the journal is durable through it',
    row: 11,
    program: 'the fsync of the journal fails while a batch is written',
    wrap(disk) {
      const renamed = new Set<string>();
      return over(disk, {
        fsync(file) {
          disk.fsync(file);
          const strategy = /^\.(alpha|beta)\./.exec(basename(file.path))?.[1];
          if (strategy === undefined) return;
          disk.rename(file.path, join(dirname(file.path), `${strategy}_checkpoint.json`));
          disk.fsyncDirectory(dirname(file.path));
          renamed.add(file.path);
        },
        link() {},
        rename(from, to) {
          if (!renamed.has(from)) disk.rename(from, to);
        },
        unlink(path) {
          if (!renamed.has(path)) disk.unlink(path);
        },
      });
    },
  },
  {
    name: 'restored cache not written anew',
    row: 11,
    program: 'the fsync of the journal fails, and the process is killed',
    wrap(disk) {
      // What begin() writes of restored state is trusted as it is: neither the bytes nor the name are synced.
      let beginning = disk
        .state()
        .entries()
        .some(({ path }) => path.endsWith('.journal'));
      return over(disk, {
        fdatasync(file) {
          if (!beginning) disk.fdatasync(file);
        },
        fsyncDirectory(path) {
          if (!beginning || basename(path) !== 'journal') disk.fsyncDirectory(path);
          else beginning = false;
        },
      });
    },
  },
];

/** Programs that only a mutant needs. */
export const mutantPrograms: readonly CrashProgram[] = [
  {
    name: 'the temporary file of a failed save cannot be removed',
    async run(rig) {
      rig.commit(['alpha']);
      rig.disk.failSyncs((path) => path.endsWith('.tmp'));
      const look = rig.disk.before;
      rig.disk.before = (call) => {
        look(call);
        if (call.call === 'unlink') throw errnoError('EIO', 'unlink', call.path);
      };
      await rig.failingCheckpoint();
      await rig.checkpoint();
      rig.disk.before = look;
      rig.commit(['alpha']);
      await rig.checkpoint();
    },
  },
];

/** The calls given, and the disk's own for the rest. */
function over(disk: ModelDisk, calls: Partial<FileSystem>): FileSystem {
  return {
    create: (path) => disk.create(path),
    openRead: (path) => disk.openRead(path),
    write: (...args) => disk.write(...args),
    read: (...args) => disk.read(...args),
    truncate: (file, length) => disk.truncate(file, length),
    fsync: (file) => disk.fsync(file),
    fdatasync: (file) => disk.fdatasync(file),
    close: (file) => disk.close(file),
    link: (from, to) => disk.link(from, to),
    rename: (from, to) => disk.rename(from, to),
    unlink: (path) => disk.unlink(path),
    mkdir: (path) => disk.mkdir(path),
    readdir: (path) => disk.readdir(path),
    lstat: (path) => disk.lstat(path),
    fsyncDirectory: (path) => disk.fsyncDirectory(path),
    statfsType: (path) => disk.statfsType(path),
    ...calls,
  };
}

/** As a reader would see it that doesn't check: every group whose body is all there has the CRC that fits. */
function withRightCrcs(bytes: Buffer): Buffer {
  for (let at = 0; ; ) {
    const parsed = parseHeader(bytes, at);
    if (parsed === null) return bytes;
    const body = at + parsed.length;
    at = body + parsed.header.bytes;
    if (at > bytes.length) return bytes;
    const tail = body - ',"crc":"00000000"}\n'.length;
    const crc = crc32(bytes.subarray(body, at), crc32(bytes.subarray(body - parsed.length, tail)));
    bytes.write(crc.toString(16).padStart(8, '0'), tail + ',"crc":"'.length, 'latin1');
  }
}
