import type { JournalChain } from './journal-chain.ts';
import type { ScannedDamage } from './journal-scan.ts';

export interface JournalDamage {
  /** Relative to the state directory. */
  readonly file: string;
  readonly damage: ScannedDamage;
  /**
   * torn: the end of the journal, never acknowledged. superseded: the torn end of an earlier writer, which a later one went on
   * from. damaged: bytes that were durable, with whole groups after them. fatal: bytes that were durable, with nothing after them.
   */
  readonly role: 'torn' | 'superseded' | 'damaged' | 'fatal';
}

/** What each damaged stretch means, seen from the whole chain. */
export function journalDamages(chain: JournalChain): JournalDamage[] {
  return chain.segments.flatMap(({ file, damages }, index) =>
    damages.map((damage) => ({ file, damage, role: roleOf(chain, index, damage) })),
  );
}

function roleOf(chain: JournalChain, index: number, damage: ScannedDamage): JournalDamage['role'] {
  if (damage.kind === 'inside') return 'damaged';
  const goesOn = chain.segments.some(({ groups, void: isVoid }, later) => later > index && groups > 0 && !isVoid);
  if (damage.kind === 'proven') return goesOn ? 'damaged' : 'fatal';
  if (!goesOn) return 'torn';
  // What should have connected is not there, so these bytes were more than a torn group that came again.
  return chain.gaps.some(({ fromIndex, toIndex }) => fromIndex <= index && index < toIndex) ? 'damaged' : 'superseded';
}
