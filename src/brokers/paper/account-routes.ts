/** The paths of the Alpaca Trading API, v2, that tell of the account, its positions and what can be traded. */
import { z } from 'zod';
import { accountJson, positionJson } from './alpaca-json.ts';
import { assetJson, calendarJson, clockJson } from './alpaca-json-market.ts';
import type { PaperExchange } from './exchange.ts';
import { errorAnswer, get, type PaperRoute } from './http.ts';
import { instant, invalid, parse } from './request-forms.ts';

export function accountRoutes(exchange: PaperExchange): readonly PaperRoute[] {
  return [
    get(/^\/v2\/account$/, () => ({ status: 200, body: accountJson(exchange) }), 'fetchAccount'),
    get(
      /^\/v2\/positions$/,
      () => ({ status: 200, body: exchange.readPositions().map((position) => positionJson(exchange, position)) }),
      'fetchPositions',
    ),
    get(/^\/v2\/positions\/([^/]+)$/, (_, [symbol = '']) => {
      const name = exchange.findAsset(symbol)?.name;
      const found = exchange.positions().find(({ asset }) => asset === name);
      if (found === undefined) return errorAnswer(404, 40410000, 'position does not exist');
      return { status: 200, body: positionJson(exchange, found) };
    }),
    get(/^\/v2\/clock$/, () => ({ status: 200, body: clockJson(exchange) })),
    get(/^\/v2\/calendar$/, ({ query }) => ({ status: 200, body: calendar(exchange, query) })),
    get(/^\/v2\/assets$/, ({ query }) => ({ status: 200, body: assets(exchange, query) })),
    get(/^\/v2\/assets\/(.+)$/, (_, [symbol = '']) => {
      const asset = exchange.findAsset(symbol);
      if (asset === undefined) return errorAnswer(404, 40410000, `asset not found for ${symbol}`);
      return { status: 200, body: assetJson(asset, exchange.shorts) };
    }),
  ];
}

function assets(exchange: PaperExchange, query: URLSearchParams): readonly object[] {
  const { status, asset_class } = parse(
    z.object({ status: z.string().optional(), asset_class: z.string().optional() }),
    Object.fromEntries(query),
  );
  // All that is listed is active.
  if (status !== undefined && status !== 'active') return [];
  return exchange
    .assets()
    .filter(({ assetClass }) => asset_class === undefined || asset_class === assetClass)
    .toSorted((a, b) => (a.assetClass + a.name < b.assetClass + b.name ? -1 : 1))
    .map((asset) => assetJson(asset, exchange.shorts));
}

const dayMicros = 86_400_000_000;
const calendarDaysMax = 3_660;

/** Every day is a day of trading. Without bounds: from today on, for thirty days. */
function calendar(exchange: PaperExchange, query: URLSearchParams): readonly object[] {
  const { start, end } = parse(
    z.object({ start: z.string().optional(), end: z.string().optional() }),
    Object.fromEntries(query),
  );
  const first = instant((start ?? exchange.now()).slice(0, 10), 'start');
  const last = end === undefined ? first + 30 * dayMicros : instant(end.slice(0, 10), 'end');
  const days = Math.floor((last - first) / dayMicros) + 1;
  if (days > calendarDaysMax) throw invalid(`a calendar of at most ${calendarDaysMax} days`);
  return Array.from({ length: Math.max(0, days) }, (_, day) => calendarJson((first + day * dayMicros) / 1000));
}
