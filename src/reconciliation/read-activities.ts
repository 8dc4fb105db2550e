import { z } from 'zod';
import type { ActivityPage, ActivityReport, BrokerAdapter } from '../brokers/adapter.ts';
import { ReconciliationError } from '../model/errors.ts';
import { decimalSchema } from '../model/money.ts';
import { assetSchema, currencySchema } from '../model/names.ts';
import { micros, type Timestamp, timestamp, timestampSchema } from '../model/time.ts';
import type { Deadline } from './deadline.ts';
import { asked } from './read.ts';

/** How far back an activity may lie that explains a difference. */
const daysBack = 31;

/**
 * What the broker booked without a trade lately. It only explains, so that a broker which does not tell, or fails, gives none: `why` says
 * so in the second case.
 */
export async function readActivities(
  adapter: BrokerAdapter,
  now: Timestamp,
  deadline: Deadline,
): Promise<{ readonly activities: readonly ActivityReport[]; readonly why: string | null }> {
  if (adapter.fetchActivities === undefined) return { activities: [], why: null };
  const cursor = { activity_id: null, at: timestamp(micros(now) - daysBack * 86_400_000_000) };
  try {
    const page = await asked(
      'activities that are no trades',
      pageSchema,
      async (options) => (await adapter.fetchActivities?.(cursor, options)) ?? { activities: [], cursor },
      deadline,
    );
    return { activities: page.activities, why: null };
  } catch (error) {
    if (!(error instanceof ReconciliationError)) throw error;
    return { activities: [], why: error.message };
  }
}

const pageSchema: z.ZodType<ActivityPage> = z.object({
  activities: z.array(
    z.object({
      activity_id: z.string(),
      type: z.string().max(100),
      sub_type: z.string().nullable(),
      asset: assetSchema.nullable(),
      cash: decimalSchema,
      currency: currencySchema.nullable(),
      amount: decimalSchema.nullable(),
      canceled: z.boolean(),
      at: timestampSchema,
    }),
  ),
  cursor: z.object({ activity_id: z.string().nullable(), at: timestampSchema.nullable() }),
});
