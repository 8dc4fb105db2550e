/** Assets, clock and calendar in the shapes of the Alpaca Trading API. The paper market never closes. */
import type { AlpacaJson } from './alpaca-json.ts';
import type { PaperExchange } from './exchange.ts';
import { uuidOf } from './ids.ts';
import type { ListedAsset } from './options.ts';

export function assetJson(asset: ListedAsset, shorts: boolean): AlpacaJson {
  const shortable = shorts && asset.assetClass !== 'crypto';
  return {
    id: uuidOf(asset.name),
    class: asset.assetClass,
    exchange: 'NASDAQ',
    symbol: asset.name,
    name: asset.name,
    status: 'active',
    tradable: true,
    marginable: false,
    shortable,
    easy_to_borrow: shortable,
    fractionable: true,
  };
}

export function clockJson(exchange: PaperExchange): AlpacaJson {
  const tomorrow = new Date(Date.parse(exchange.now()) + 86_400_000).toISOString();
  return { timestamp: exchange.now(), is_open: true, next_open: tomorrow, next_close: tomorrow };
}

/** One day, given in milliseconds; trades settle on the next. */
export function calendarJson(dayMs: number): AlpacaJson {
  const date = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  return {
    date: date(dayMs),
    open: '00:00',
    close: '23:59',
    session_open: '0000',
    session_close: '2359',
    settlement_date: date(dayMs + 86_400_000),
  };
}
