import { CheckpointCorrupted, StateError } from '../model/errors.ts';
import type { Timestamp } from '../model/time.ts';
import type { JournalChain } from './journal-chain.ts';
import { journalDamages } from './journal-damage.ts';

/** A checkpoint file as it was read, without its contents. */
export interface Generation {
  readonly strategy: string;
  /** Relative to the state directory. */
  readonly file: string;
  readonly newest: boolean;
  /** seed: valid, in the seed's format: the oldest generation, at epoch 0, sequence 0. */
  readonly kind: 'ok' | 'seed' | 'damaged' | 'foreign';
  /** From inside where it is valid, else from its name; null where neither tells. */
  readonly epoch: number | null;
  readonly sequence: number | null;
  readonly timestamp: Timestamp | null;
  readonly why: string | null;
}

/** All that was found, for telling why it is not enough. */
export interface Evidence {
  readonly chain: JournalChain;
  readonly generations: readonly Generation[];
}

/** The error of a directory that cannot be restored truly: names each file that is not what it should be, and why. */
export function unrestorable(
  code: 'CHECKPOINT_CORRUPTED' | 'JOURNAL_DAMAGED' | 'JOURNAL_MISSING',
  headline: string,
  { chain, generations }: Evidence,
): CheckpointCorrupted {
  const facts = [...checkpointFacts(generations), ...journalFacts(chain)];
  return new CheckpointCorrupted(
    code,
    `the state cannot be restored truly: ${headline}. ${facts.slice(0, factsMax).join('; ')}` +
      `${facts.length > factsMax ? `; and ${facts.length - factsMax} more` : ''}. Nothing was changed. Put back the missing or damaged ` +
      'files from a copy, or, to accept the loss, move the whole state directory away and start from what the broker has.',
    {
      details: {
        files: facts.length,
        reached_epoch: chain.run?.epoch ?? null,
        reached_sequence: chain.run?.last ?? null,
      },
    },
  );
}

const factsMax = 40;

/** The same error with the directory in its message: files are named relative to it, and who reads the log may not know which it was. */
export function inDirectory(directory: string, error: unknown): unknown {
  if (!(error instanceof StateError) || error.message.includes(directory)) return error;
  const { code, message, details, retryable } = error;
  const Kind = error instanceof CheckpointCorrupted ? CheckpointCorrupted : StateError;
  return new Kind(code, `${directory}: ${message}`, { cause: error, details: { directory, ...details }, retryable });
}

function checkpointFacts(generations: readonly Generation[]): string[] {
  return generations.map(({ file, kind, why, epoch, sequence }) => {
    if (kind === 'seed') return `${file}: valid, in the seed's format`;
    return kind === 'ok' ? `${file}: valid, epoch ${epoch}, sequence ${sequence}` : `${file}: ${kind}: ${why}`;
  });
}

function journalFacts(chain: JournalChain): string[] {
  const facts = journalDamages(chain)
    .filter(({ role }) => role !== 'superseded')
    .map(
      ({ file, damage, role }) => `${file}: ${role} at byte ${damage.offset} (${damage.bytes} bytes): ${damage.why}`,
    );
  for (const { toIndex, reached, found } of chain.gaps) {
    facts.push(
      `${chain.segments[toIndex]?.file}: goes on from sequence ${found}, and the records before it end at ${reached}`,
    );
  }
  if (chain.run === null) facts.push('the journal holds no whole record');
  else facts.push(`the journal's last connected records are of sequences ${chain.run.first} to ${chain.run.last}`);
  return facts;
}
