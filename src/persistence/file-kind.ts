import type { FileKind } from './file-system.ts';

/** What stands at a path, as a message says it: "a symbolic link". */
export const fileKindWords: Readonly<Record<FileKind, string>> = {
  file: 'a regular file',
  directory: 'a directory',
  symlink: 'a symbolic link',
  pipe: 'a named pipe (FIFO)',
  socket: 'a socket',
  device: 'a device',
  other: 'neither a file nor a directory',
};
