import { join } from 'node:path';
import { z } from 'zod';
import { type Timestamp, timestampSchema } from '../model/time.ts';
import { temporaryName } from './checkpoint-names.ts';
import { isErrno } from './errno.ts';
import type { FileSystem } from './file-system.ts';
import { readBounded } from './read-file.ts';
import { withStage, writeFully } from './write-file.ts';

/*
 * Two small files for people and for other processes, for information only: nothing that must be true depends on them. They
 * are replaced in one step, so a reader sees one version or the other, and not fsynced, since after a power cut they say nothing.
 */

/** holder.json: who holds the directory's lock. */
export interface Holder {
  readonly pid: number;
  /** Tells this process from a later one with the same pid; null where the platform does not say. */
  readonly process_start: string | null;
  readonly boot_id: string | null;
  readonly host: string;
  readonly since: Timestamp;
  readonly epoch: number;
}

/** status.json: what the engine was doing when the persistence worker last wrote it, about once a second. */
export interface StatusFile {
  readonly updated_at: Timestamp;
  readonly host: string;
  readonly pid: number;
  readonly epoch: number;
  readonly incarnation: number;
  readonly phase: string;
  readonly durable_sequence: number;
  readonly received_sequence: number;
  /** Age of the oldest commit that is not durable; 0 when all are. */
  readonly durable_lag_ms: number;
  readonly journal_bytes: number;
  readonly segments: number;
  readonly last_checkpoint_at: Timestamp | null;
  /** The last failed write's message, until a write succeeds. */
  readonly last_error: string | null;
}

/** @throws StateError WRITE_FAILED */
export function writeStatus(fs: FileSystem, directory: string, status: StatusFile): void {
  replaceSmallFile(fs, directory, 'status.json', status);
}

/** Null where there is none, or none that can be understood. */
export function readStatus(fs: FileSystem, directory: string): StatusFile | null {
  return readSmallFile(fs, join(directory, 'status.json'), statusSchema);
}

/** @throws StateError WRITE_FAILED */
export function writeHolder(fs: FileSystem, directory: string, holder: Holder): void {
  replaceSmallFile(fs, directory, 'holder.json', holder);
}

/** Null where there is none, or none that can be understood. What it says may be out of date: only the lock is the truth. */
export function readHolder(fs: FileSystem, directory: string): Holder | null {
  return readSmallFile(fs, join(directory, 'holder.json'), holderSchema);
}

const count = z.int().nonnegative();

const holderSchema: z.ZodType<Holder> = z.object({
  pid: count,
  process_start: z.string().nullable(),
  boot_id: z.string().nullable(),
  host: z.string().max(300),
  since: timestampSchema,
  epoch: count,
});

const statusSchema: z.ZodType<StatusFile> = z.object({
  updated_at: timestampSchema,
  host: z.string().max(300),
  pid: count,
  epoch: count,
  incarnation: count,
  phase: z.string().max(100),
  durable_sequence: count,
  received_sequence: count,
  durable_lag_ms: z.number().nonnegative(),
  journal_bytes: count,
  segments: count,
  last_checkpoint_at: timestampSchema.nullable(),
  last_error: z.string().nullable(),
});

const smallBytesMax = 65_536;

function replaceSmallFile(fs: FileSystem, directory: string, name: string, value: object): void {
  const temporary = join(directory, temporaryName(name));
  const file = withStage('open', temporary, () => fs.create(temporary));
  try {
    try {
      writeFully(fs, file, Buffer.from(`${JSON.stringify(value, null, 1)}\n`), 0);
    } finally {
      withStage('close', temporary, () => fs.close(file));
    }
    withStage('rename', temporary, () => fs.rename(temporary, join(directory, name)));
  } catch (error) {
    try {
      fs.unlink(temporary);
    } catch {
      // The first error is the one to tell; what is left is swept at the next start.
    }
    throw error;
  }
}

function readSmallFile<T>(fs: FileSystem, path: string, schema: z.ZodType<T>): T | null {
  try {
    const bytes = readBounded(fs, path, smallBytesMax, 1024);
    return bytes === null ? null : (schema.safeParse(JSON.parse(Buffer.from(bytes).toString())).data ?? null);
  } catch (error) {
    // Absent, unreadable, or half a file from a power cut: all the same to who asks for information.
    if (isErrno(error) || error instanceof SyntaxError) return null;
    throw error;
  }
}
