import { randomBytes } from 'node:crypto';
import { strategyNameSchema } from '../model/names.ts';

/*
 * Names of files in the state directory. Each form is told from the others by its end and by its first character (a
 * strategy's name never begins with a dot), so a name belongs to one strategy and one generation at most.
 */

export interface CheckpointName {
  readonly strategy: string;
  /** Null in the newest generation's name: its place in the order stands inside it. */
  readonly generation: { readonly epoch: number; readonly sequence: number } | null;
}

export function newestName(strategy: string): string {
  return `${strategy}_checkpoint.json`;
}

export function generationName(strategy: string, epoch: number, sequence: number): string {
  return `${strategy}_checkpoint.${epoch}-${sequence}.json`;
}

/** Null for a name that is not exactly what newestName or generationName gives. */
export function parseCheckpointName(file: string): CheckpointName | null {
  const match = /^(.+)_checkpoint(?:\.(0|[1-9]\d*)-(0|[1-9]\d*))?\.json$/.exec(file);
  if (match === null || !strategyNameSchema.safeParse(match[1]).success) return null;
  const strategy = String(match[1]);
  if (match[2] === undefined) return { strategy, generation: null };
  const generation = { epoch: Number(match[2]), sequence: Number(match[3]) };
  return Number.isSafeInteger(generation.epoch) && Number.isSafeInteger(generation.sequence)
    ? { strategy, generation }
    : null;
}

/** A name that no other attempt uses: `what` is "mean_reversion_v1.7-48213" or "status.json". */
export function temporaryName(what: string): string {
  return `.${what}.${randomBytes(8).toString('hex')}.tmp`;
}

/** True for what temporaryName gives: a file of ours that is worth nothing once its writer is gone. */
export function isTemporaryName(file: string): boolean {
  return /^\.[A-Za-z0-9][A-Za-z0-9._-]*\.[0-9a-f]{16}\.tmp$/.test(file);
}
