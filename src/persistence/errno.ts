import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

/*
 * Node names only the errors that libuv knows. Of the rest it makes "Unknown system error -122", of those of write and read even
 * "UNKNOWN: unknown error", which for a full quota is no help at 3 a.m., so they get their names here.
 */

// EUCLEAN is what ext4 and XFS answer once they find themselves damaged; only Linux has it.
const unnamed: ReadonlyMap<number, string> = new Map([
  ...Object.entries(constants.errno).map(([name, number]) => [number, name] as const),
  ...(process.platform === 'linux' ? [[117, 'EUCLEAN'] as const] : []),
]);

const texts: Readonly<Record<string, string>> = {
  EDQUOT: 'disk quota exceeded',
  ESTALE: 'stale file handle',
  EUCLEAN: 'structure needs cleaning',
};

/** True for what file calls throw: an Error with the name of an errno as `code`, or with one number where it has no name. */
export function isErrno(error: unknown, code?: string): error is NodeJS.ErrnoException & { readonly code: string } {
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) return false;
  return code === undefined ? typeof error.code === 'string' : error.code === code;
}

/** "EDQUOT" and such, also where Node has no name for it. */
export function errnoName(error: NodeJS.ErrnoException & { readonly code: string }): string {
  if (error.code !== 'UNKNOWN' && !error.code.startsWith('Unknown system error')) return error.code;
  return unnamed.get(Math.abs(error.errno ?? 0)) ?? error.code;
}

/** What went wrong in words: Node's own, or "EDQUOT: disk quota exceeded, write". */
export function errnoText(error: NodeJS.ErrnoException & { readonly code: string }): string {
  const name = errnoName(error);
  return name === error.code ? error.message : `${name}: ${texts[name] ?? 'no text'}, ${error.syscall}`;
}

/** What node:fs throws for an errno, for those who must throw the like: with code, errno, syscall and path. */
export function errnoError(name: string, syscall: string, path: string): NodeJS.ErrnoException {
  for (const [errno, [code, text]] of getSystemErrorMap()) {
    if (code === name) return made(code, text, errno, syscall, path);
  }
  for (const [number, unknown] of unnamed) {
    const code = `Unknown system error ${-number}`;
    if (unknown === name) return made(code, code, -number, syscall, path);
  }
  throw new RangeError(`${JSON.stringify(name)} is no errno of this platform`);
}

function made(code: string, text: string, errno: number, syscall: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${text}, ${syscall} '${path}'`), { code, errno, syscall, path });
}
