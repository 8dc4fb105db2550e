import type { FileSystem } from './file-system.ts';

/**
 * All bytes of a regular file, or null where it has more than `bytesMax`: the bound holds for what is read, whatever size the
 * file was said to have. Throws what the file calls throw.
 * @param sizeHint how large the first buffer is; a right guess saves copying
 */
export function readBounded(fs: FileSystem, path: string, bytesMax: number, sizeHint = 65_536): Uint8Array | null {
  const file = fs.openRead(path);
  try {
    let buffer = new Uint8Array(Math.min(bytesMax, Math.max(1, sizeHint)) + 1);
    let length = 0;
    for (;;) {
      const count = fs.read(file, buffer, length, buffer.length - length, length);
      if (count === 0) return buffer.subarray(0, length);
      length += count;
      if (length > bytesMax) return null;
      if (length === buffer.length) {
        const larger = new Uint8Array(Math.min(bytesMax, buffer.length * 2) + 1);
        larger.set(buffer);
        buffer = larger;
      }
    }
  } finally {
    fs.close(file);
  }
}
