/** The account's activities: fills, and what is no trade, in one list or each type by itself. */
import { z } from 'zod';
import { micros, timestamp } from '../../model/time.ts';
import type { PaperActivity } from './activities.ts';
import { type AlpacaJson, activityJson, nonTradeJson } from './alpaca-json-activities.ts';
import type { PaperExchange } from './exchange.ts';
import { get, type PaperRoute } from './http.ts';
import type { PaperFill } from './orders.ts';
import { instant, invalid, parse } from './request-forms.ts';

export function activityRoutes(exchange: PaperExchange): readonly PaperRoute[] {
  const page = (query: URLSearchParams, type: string | null) => ({
    status: 200,
    body: activities(exchange, query, type),
  });
  return [
    get(/^\/v2\/account\/activities\/FILL$/, ({ query }) => page(query, 'FILL'), 'fetchFills'),
    get(/^\/v2\/account\/activities$/, ({ query }) => page(query, null), 'fetchActivities'),
    get(/^\/v2\/account\/activities\/([A-Z]+)$/, ({ query }, [type = '']) => page(query, type), 'fetchActivities'),
  ];
}

const querySchema = z.object({
  activity_types: z.string().optional(),
  category: z.enum(['trade_activity', 'non_trade_activity']).optional(),
  after: z.string().optional(),
  until: z.string().optional(),
  date: z.string().optional(),
  direction: z.enum(['asc', 'desc']).default('desc'),
  page_size: z.coerce.number().int().min(1).max(100).default(100),
  page_token: z.string().optional(),
});

type Entry = { readonly id: string; readonly type: string; readonly at: string; json(): AlpacaJson };

function activities(exchange: PaperExchange, query: URLSearchParams, path: string | null): readonly object[] {
  const { activity_types, category, after, until, date, direction, page_size, page_token } = parse(
    querySchema,
    Object.fromEntries(query),
  );
  if (activity_types !== undefined && category !== undefined) {
    throw invalid('only one of activity_types or category is accepted');
  }
  const types = path === null ? activity_types?.split(',') : [path];
  const from = after === undefined ? null : instant(after, 'after');
  const to = until === undefined ? null : instant(until, 'until');
  const day = date === undefined ? null : timestamp(instant(date, 'date')).slice(0, 10);
  const upwards = direction === 'asc';
  const fits = ({ id, type, at }: Entry) =>
    (types === undefined || types.some((wanted) => isOf(wanted, type))) &&
    (category === undefined || (category === 'trade_activity') === (type === 'FILL')) &&
    (from === null || micros(at) > from) &&
    (to === null || micros(at) < to) &&
    (day === null || at.startsWith(day)) &&
    (page_token === undefined || (upwards ? id > page_token : id < page_token));
  // Ids sort in the order in which they were made, so a token is a place among them whether or not it is one of them.
  const fills = exchange.fills({ activity_id: upwards ? (page_token ?? null) : null, at: null });
  const all = merged(fills, exchange.activities()).filter(fits);
  const page = (upwards ? all : all.toReversed()).slice(0, page_size);
  const operation = path === 'FILL' ? 'fetchFills' : 'fetchActivities';
  return exchange.faults.list(
    operation,
    page.map((entry) => entry.json()),
    ({ symbol }) => String(symbol),
  );
}

/** Two of the types that can be asked for are names of several. */
function isOf(wanted: string, type: string): boolean {
  if (wanted === 'TRANS') return type === 'CSD' || type === 'CSW';
  if (wanted === 'MISC') return !['CSD', 'CSW', 'DIV', 'FILL'].includes(type);
  return wanted === type;
}

function merged(fills: readonly PaperFill[], others: readonly PaperActivity[]): readonly Entry[] {
  const trades = fills.map((fill) => ({
    id: fill.activity_id,
    type: 'FILL',
    at: fill.at,
    json: () => activityJson(fill),
  }));
  if (others.length === 0) return trades;
  const rest = others.map((activity) => ({
    id: activity.activity_id,
    type: activity.type,
    at: activity.at,
    json: () => nonTradeJson(activity),
  }));
  return [...trades, ...rest].toSorted((a, b) => (a.id < b.id ? -1 : 1));
}
