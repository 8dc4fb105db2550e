import { z } from 'zod';
import type { ActivityCursor, BrokerAdapter, CallOptions, FillPage } from '../brokers/adapter.ts';
import { HoldfastError, ReconciliationError } from '../model/errors.ts';
import {
  accountReportSchema,
  fillReportSchema,
  type OrderReport,
  orderReportSchema,
  positionReportSchema,
} from '../model/report.ts';
import type { BrokerCursor } from '../model/snapshot.ts';
import { type Clock, type Timestamp, timestamp, timestampSchema } from '../model/time.ts';
import type { Deadline } from './deadline.ts';
import { matchOrders } from './order-match.ts';
import type { BrokerEvidence, LocalBooks } from './types.ts';

/** How many orders of ours are asked for one by one in a read: every one is a request of its own. */
export const lookupsMax = 50;

/** What the books know of the broker's activities: where to read on, and which executions are booked. */
export interface KnownActivities {
  readonly cursor: ActivityCursor;
  readonly executions: ReadonlySet<string>;
}

/**
 * Reads the broker's side between two looks at its activities, and asks by id for every live order of ours that is not among the open
 * ones. Every answer is checked for its form.
 * @throws ReconciliationError BROKER_READ_FAILED (the broker failed: no evidence) or RECONCILIATION_DEADLINE; both are expected
 */
export async function readEvidence(
  adapter: BrokerAdapter,
  books: LocalBooks,
  known: KnownActivities,
  deadline: Deadline,
  clock: Clock,
): Promise<BrokerEvidence> {
  const ask = <T>(what: string, schema: z.ZodType<T>, call: (options: CallOptions) => Promise<T>): Promise<T> =>
    asked(what, schema, call, deadline);
  const readAt = timestamp(clock.nowMicros());
  const booked = await ask('fills', pageSchema, (options) => adapter.fetchFills(known.cursor, options));
  const [account, positions, open] = await Promise.all([
    ask('the account', accountReportSchema, (options) => adapter.fetchAccount(options)),
    ask('positions', positionsSchema, (options) => adapter.fetchPositions(options)),
    ask('open orders', ordersSchema, (options) => adapter.fetchOpenOrders(options)),
  ]);
  const found: OrderReport[] = [];
  const absent: string[] = [];
  for (const orderId of worthAsking(adapter, books, open)) {
    const report = await ask(`order ${orderId}`, orderReportSchema.nullable(), (options) =>
      adapter.fetchOrder(orderId, options),
    );
    if (report === null) absent.push(orderId);
    else found.push(report);
  }
  const later = await ask('fills', pageSchema, (options) => adapter.fetchFills(booked.cursor, options));
  return {
    account,
    positions,
    orders: [...open, ...found],
    absent,
    fills: [...booked.fills, ...later.fills].filter(({ execution_id }) => !known.executions.has(execution_id)),
    before: booked.cursor,
    after: later.cursor,
    read_at: readAt,
  };
}

/**
 * Where the host's books stand in the broker's activities. A cursor says that everything of the account up to it is booked, so the
 * newest counts. Where no book has one yet, nothing older than the oldest open order can be ours.
 */
export function knownActivities(
  cursors: readonly BrokerCursor[],
  books: LocalBooks,
  requestedAt: Timestamp,
): KnownActivities {
  const executions = new Set(cursors.flatMap((cursor) => cursor.recent_execution_ids));
  const begun = cursors.filter(({ activity_id, at }) => activity_id !== null || at !== null).sort(newestFirst);
  const [newest] = begun;
  if (newest !== undefined) return { cursor: { activity_id: newest.activity_id, at: newest.at }, executions };
  const created = books.strategies.flatMap(({ orders }) => orders.flatMap(({ created_at }) => created_at ?? []));
  const at = [...created, requestedAt].sort()[0] ?? requestedAt;
  return { cursor: { activity_id: null, at }, executions };
}

const positionsSchema = z.array(positionReportSchema);
const ordersSchema = z.array(orderReportSchema);
const pageSchema: z.ZodType<FillPage> = z.object({
  fills: z.array(fillReportSchema),
  cursor: z.object({ activity_id: z.string().nullable(), at: timestampSchema.nullable() }),
});

/** Asks within the deadline, and takes no answer of another form. @throws ReconciliationError BROKER_READ_FAILED, RECONCILIATION_DEADLINE */
export async function asked<T>(
  what: string,
  schema: z.ZodType<T>,
  call: (options: CallOptions) => Promise<T>,
  deadline: Deadline,
): Promise<T> {
  // A method that throws in place of rejecting is a broker that failed, all the same.
  const answer = (async () => call({ timeoutMs: Math.max(1, deadline.leftMs) }))().catch((error: unknown) => {
    throw readFailed(what, error instanceof Error ? error.message : String(error), error);
  });
  const parsed = schema.safeParse(await deadline.race(`the broker's answer on ${what}`, answer));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw readFailed(what, `the answer is not of the expected form at ${issue?.path.join('.')}: ${issue?.message}`);
}

function readFailed(what: string, why: string, cause?: unknown): ReconciliationError {
  const code = cause instanceof HoldfastError ? cause.code : 'BROKER_ANSWER_INVALID';
  return new ReconciliationError('BROKER_READ_FAILED', `reading ${what} from the broker failed: ${why}`, {
    ...(cause === undefined ? {} : { cause }),
    details: { what, broker_code: code },
    retryable: !(cause instanceof HoldfastError) || cause.retryable,
  });
}

function worthAsking(adapter: BrokerAdapter, books: LocalBooks, open: readonly OrderReport[]): string[] {
  if (adapter.capabilities.clientOrderIds === 'none') return [];
  return matchOrders(books, open)
    .missing.map(({ order }) => order.order_id)
    .slice(0, lookupsMax);
}

/** Of two at the same moment the lower id comes first: reading too early costs nothing, since known executions are left out. */
function newestFirst(a: BrokerCursor, b: BrokerCursor): number {
  const [atA, atB] = [a.at ?? '', b.at ?? ''];
  if (atA !== atB) return atA < atB ? 1 : -1;
  return (a.activity_id ?? '') < (b.activity_id ?? '') ? -1 : 1;
}
