import { describe, expect, it } from 'vitest';
import { ModelDisk, type ModelDiskOptions, PowerCut, seededRandom } from '../../src/testing/model-disk.ts';

function put(disk: ModelDisk, path: string, text: string, sync = false): void {
  const file = disk.create(path);
  disk.write(file, Buffer.from(text), 0, Buffer.byteLength(text), 0);
  if (sync) disk.fsync(file);
  disk.close(file);
}

/** What may be found, as sorted texts "name:content". */
function found(disk: ModelDisk): string[] {
  return [...disk.crashStates()].map((state) => listed(ModelDisk.from(state))).sort();
}

function listed(disk: ModelDisk): string {
  const files = disk
    .state()
    .entries()
    .filter(({ bytes }) => bytes !== null);
  return files.map(({ path, bytes }) => `${path.slice(1)}:${bytes?.toString().replaceAll('\0', '.')}`).join(' ');
}

function made(options: ModelDiskOptions = {}): ModelDisk {
  return new ModelDisk({ blockBytes: 2, ...options });
}

const outcome = (call: () => unknown): string => {
  try {
    call();
    return 'done';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? (error as Error).name;
  }
};

describe('the model disk', () => {
  it('keeps any blocks of what was not synced, with either size, once the name is durable', () => {
    const disk = made();
    put(disk, '/a', 'abc');
    disk.fsyncDirectory('/');
    expect(found(disk)).toEqual(['a:', 'a:...', 'a:..c', 'a:ab', 'a:ab.', 'a:abc']);
  });

  it('makes data durable by fsync, and the name by fsync of the directory only', () => {
    const disk = made();
    put(disk, '/a', 'abc', true);
    expect(found(disk)).toEqual(['', 'a:abc']);
    disk.fsyncDirectory('/');
    expect(found(disk)).toEqual(['a:abc']);
  });

  it('may keep a rename before the data of the file', () => {
    const disk = made();
    put(disk, '/a', 'old', true);
    disk.fsyncDirectory('/');
    put(disk, '/t', 'n');
    disk.rename('/t', '/a');
    expect(found(disk)).toEqual(['a:', 'a:.', 'a:n', 'a:old', 'a:old t:', 'a:old t:.', 'a:old t:n']);
  });

  it('keeps any subset of names, or only a prefix where they reach the disk in order', () => {
    const [any, prefix] = (['any', 'prefix'] as const).map((order) => {
      const disk = made({ order });
      for (const name of ['/a', '/b']) disk.close(disk.create(name));
      return found(disk);
    });
    expect(any).toEqual(['', 'a:', 'a: b:', 'b:']);
    expect(prefix).toEqual(['', 'a:', 'a: b:']);
  });

  it('takes all names before it to the disk by an fsync of any file, where they are in order', () => {
    const disk = made({ order: 'prefix' });
    disk.close(disk.create('/a'));
    put(disk, '/b', 'b', true);
    disk.close(disk.create('/c'));
    expect(found(disk)).toEqual(['a: b:b', 'a: b:b c:']);
  });

  it('makes a rename between directories durable as a whole, by either', () => {
    for (const synced of ['/x', '/y']) {
      const disk = made();
      disk.mkdir('/x');
      disk.mkdir('/y');
      disk.fsyncDirectory('/');
      put(disk, '/x/a', '1', true);
      disk.fsyncDirectory('/x');
      disk.rename('/x/a', '/y/b');
      expect(found(disk)).toEqual(['x/a:1', 'y/b:1']);
      disk.fsyncDirectory(synced);
      expect(found(disk)).toEqual(['y/b:1']);
    }
  });

  it('brings back a file whose unlink is not durable, and both names of a link', () => {
    const disk = made();
    put(disk, '/a', '1', true);
    disk.fsyncDirectory('/');
    disk.link('/a', '/b');
    disk.unlink('/a');
    expect(found(disk)).toEqual(['', 'a:1', 'a:1 b:1', 'b:1']);
    const both = [...disk.crashStates()]
      .map((state) => ModelDisk.from(state))
      .find((each) => listed(each) === 'a:1 b:1');
    expect(both?.lstat('/a').inode).toBe(both?.lstat('/b').inode);
  });

  it('after a failed fsync shows the bytes, says that the next fsync is well, and may have lost them', () => {
    const disk = made();
    put(disk, '/a', 'ab', true);
    disk.fsyncDirectory('/');
    const file = disk.openWrite('/a');
    disk.write(file, Buffer.from('cd'), 0, 2, 2);
    disk.failSyncs((path) => path === '/a');
    expect(outcome(() => disk.fsync(file))).toBe('EIO');
    expect(outcome(() => disk.fsync(file))).toBe('done');
    expect(listed(disk)).toBe('a:abcd');
    expect(found(disk)).toEqual(['a:ab', 'a:ab..', 'a:abcd']);
    disk.write(file, Buffer.from('ef'), 0, 2, 4);
    disk.fdatasync(file);
    expect(found(disk)).toEqual(['a:ab..ef', 'a:abcdef']);
    expect(listed(disk.clone())).toBe('a:abcdef');
  });

  it('keeps a truncation or not', () => {
    const disk = made();
    put(disk, '/a', 'abcd', true);
    disk.fsyncDirectory('/');
    disk.truncate(disk.openWrite('/a'), 1);
    expect(found(disk)).toEqual(['a:a', 'a:abcd']);
  });

  it('chooses by seed where the states are too many, and says so', () => {
    const disk = made();
    for (let number = 0; number < 12; number += 1) disk.close(disk.create(`/f${number}`));
    const keys = (seed: number) => [...disk.crashStates({ statesMax: 100, seed })].map(({ key }) => key);
    const states = disk.crashStates({ statesMax: 100 });
    expect(states.exhaustive).toBe(false);
    expect(states.possible).toBeGreaterThan(100);
    expect(keys(1)).toEqual(keys(1));
    expect(keys(1)).not.toEqual(keys(2));
    expect(new Set(keys(1)).size).toBe(keys(1).length);
    const few = made();
    few.close(few.create('/a'));
    expect(few.crashStates()).toMatchObject({ possible: 2, exhaustive: true });
  });

  it('draws by chance only what it would list', () => {
    const disk = made();
    put(disk, '/a', 'abc');
    disk.link('/a', '/b');
    disk.unlink('/a');
    const all = new Set([...disk.crashStates()].map(({ key }) => key));
    const random = seededRandom(7);
    const drawn = new Set(Array.from({ length: 500 }, () => disk.randomCrashState(random).key));
    expect(drawn).toEqual(all);
  });

  it('stops for good where the power is cut', () => {
    const disk = made();
    disk.cutBefore(3);
    const seen: string[] = [];
    disk.before = ({ number, call, path }) => seen.push(`${number} ${call} ${path}`);
    const file = disk.create('/a');
    disk.write(file, Buffer.from('ab'), 0, 2, 0);
    expect(() => disk.fsync(file)).toThrow(PowerCut);
    expect(() => disk.readdir('/')).toThrow(PowerCut);
    expect(seen).toEqual(['1 create /a', '2 write /a']);
    expect(found(disk)).toContain('a:..');
  });

  it('refuses what the operating system refuses', () => {
    const disk = made({ writeBytesMax: 3 });
    disk.mkdir('/d/e');
    put(disk, '/a', 'x', true);
    const reading = disk.openRead('/a');
    expect(disk.write(disk.openWrite('/a'), Buffer.from('abcdef'), 1, 5, 0)).toBe(3);
    expect(outcome(() => disk.create('/a'))).toBe('EEXIST');
    expect(outcome(() => disk.create('/none/a'))).toBe('ENOENT');
    expect(outcome(() => disk.create('/a/b'))).toBe('ENOTDIR');
    expect(outcome(() => disk.openRead('/d'))).toBe('EISDIR');
    expect(outcome(() => disk.link('/a', '/d'))).toBe('EEXIST');
    expect(outcome(() => disk.rename('/a', '/d'))).toBe('EISDIR');
    expect(outcome(() => disk.rename('/d', '/a'))).toBe('ENOTDIR');
    expect(outcome(() => disk.mkdir('/a'))).toBe('EEXIST');
    expect(outcome(() => disk.mkdir('/d/e'))).toBe('done');
    expect(outcome(() => disk.unlink('/d'))).toBe('EISDIR');
    expect(outcome(() => disk.readdir('/a'))).toBe('ENOTDIR');
    expect(outcome(() => disk.write(reading, Buffer.from('x'), 0, 1, 0))).toBe('EBADF');
    disk.close(reading);
    expect(outcome(() => disk.close(reading))).toBe('EBADF');
    expect(disk.statfsType('/')).toBe(0xef53);
  });
});
