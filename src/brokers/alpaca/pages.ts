/**
 * Lists that come in pages, followed to their end. The end is an empty page and nothing else: a server may give fewer at a time than
 * it was asked for.
 */
import type { z } from 'zod';
import { BrokerError } from '../../model/errors.ts';
import { micros } from '../../model/time.ts';
import type { ActivityCursor } from '../adapter.ts';
import type { Deadline } from './deadline.ts';
import { type AlpacaEntry, type AlpacaOrder, activitiesSchema, ordersSchema } from './schemas.ts';

/** One read within a deadline that all pages share. */
export type Get = <T>(
  path: string,
  query: Record<string, string>,
  schema: z.ZodType<T>,
  what: string,
  deadline: Deadline,
) => Promise<T>;

const ordersPerPage = 500;
const activitiesPerPage = 100;

/** @throws BrokerError BROKER_ANSWER_INVALID where the server goes round in circles; and what a read throws */
export function openOrders(get: Get, deadline: Deadline): Promise<readonly AlpacaOrder[]> {
  return follow('open orders', (last) => {
    // By id and not by time: orders of one instant would be lost between two pages.
    const query = { status: 'open', direction: 'asc', nested: 'false', limit: `${ordersPerPage}` };
    const after: Record<string, string> = last === null ? {} : { after_order_id: last };
    return get('/v2/orders', { ...query, ...after }, ordersSchema, 'open orders', deadline);
  });
}

/** Fills, or what is no trade, after the cursor, oldest first. @throws as openOrders */
export function activities(
  kind: 'fills' | 'activities',
  cursor: ActivityCursor,
  get: Get,
  deadline: Deadline,
): Promise<readonly AlpacaEntry[]> {
  const path = kind === 'fills' ? '/v2/account/activities/FILL' : '/v2/account/activities';
  return follow(kind, (last) => {
    const query: Record<string, string> = { direction: 'asc', page_size: `${activitiesPerPage}` };
    if (kind === 'activities') query['category'] = 'non_trade_activity';
    const token = last ?? cursor.activity_id;
    if (token !== null) query['page_token'] = token;
    // Documented in whole seconds and exclusive: begin early; what is too early is dropped by whoever reads the times.
    else if (cursor.at !== null)
      query['after'] = new Date(micros(cursor.at) / 1000 - 1000).toISOString().replace(/\.\d+Z$/, 'Z');
    return get(path, query, activitiesSchema, kind, deadline);
  });
}

/** Each entry once, by its id, also where pages overlap. */
async function follow<T extends { readonly id: string }>(
  what: string,
  page: (last: string | null) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  const all = new Map<string, T>();
  for (let last: string | null = null; ; ) {
    const entries: readonly T[] = await page(last);
    const end = entries.at(-1);
    if (end === undefined) return [...all.values()];
    const before = all.size;
    for (const entry of entries) all.set(entry.id, entry);
    if (all.size === before) {
      throw new BrokerError('BROKER_ANSWER_INVALID', `broker, ${what}: a page repeats the one before it`);
    }
    last = end.id;
  }
}
