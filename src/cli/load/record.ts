import { z } from 'zod';
import { ConfigError, StateError } from '../../model/errors.ts';
import { type LoadPlan, planFields, strategyName } from './plan.ts';

/** What load keeps of itself in the state, in the first strategy under {@link recordKey}. */
export interface LoadRecord extends LoadPlan {
  /**
   * How many sequences are no commits of load: commit i has sequence i + passed_over. More than 0 only where a restart had to pass
   * over sequences because of damage, or a replaced persistence worker took one.
   */
  readonly passed_over: number;
}

export const recordKey = 'load';

/** The strategy that keeps the record: its checkpoint is the first one written, so where there is any state there is a record. */
export const recordStrategy: string = strategyName(0);

const count = z.int().nonnegative();
const recordSchema: z.ZodType<LoadRecord> = z.strictObject({
  strategies: count.positive(),
  positions: count.positive(),
  changes: count.positive(),
  seed: count,
  passed_over: count,
});

/** @throws StateError LOAD_FOREIGN where it is not what load writes */
export function parseRecord(value: unknown, directory: string): LoadRecord {
  const parsed = recordSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new StateError(
    'LOAD_FOREIGN',
    `${directory} holds a state that load did not make: nothing was changed. Give load a directory of its own.`,
    { details: { path: directory } },
  );
}

/** @throws ConfigError LOAD_OTHER_VALUES naming what differs and what to give */
export function assertSamePlan(plan: LoadPlan, record: LoadRecord, directory: string): void {
  const other = planFields.filter((field) => plan[field] !== record[field]);
  if (other.length === 0) return;
  const given = other.map((field) => `--${field} ${plan[field]}`).join(' ');
  const recorded = planFields.map((field) => `--${field} ${record[field]}`).join(' ');
  throw new ConfigError(
    'LOAD_OTHER_VALUES',
    `${directory} was begun with ${recorded}, and load was given ${given}: continue it with its own values, or use another directory`,
    { details: { path: directory } },
  );
}
