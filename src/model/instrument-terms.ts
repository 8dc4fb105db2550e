import type { DecimalString } from './money.ts';
import { currencyPattern } from './names.ts';

/** What a host says about one asset; the rest follows from its name and the host's base currency. */
export interface InstrumentSettings {
  readonly currency?: string;
  readonly unit?: string;
  readonly multiplier?: DecimalString;
}

/** What a trade in an asset is paid in and counts. */
export interface InstrumentTerms {
  /** Currency of its prices and costs. */
  readonly currency: string;
  /** What one unit of it is called, so that a fee in it is a fee in units: "BTC" for "BTC/USD", else the asset's own name. */
  readonly unit: string;
  /** What one unit is worth for each unit of price: "1" but for contracts such as futures. */
  readonly multiplier: DecimalString;
}

/** An asset that nobody described is priced in the base currency, unless its name is a pair: "BTC/USDT" is priced in USDT and is BTC. */
export function termsOf(asset: string, settings: InstrumentSettings | undefined, base: string): InstrumentTerms {
  const pair = pairOf(asset);
  return {
    currency: settings?.currency ?? pair?.currency ?? base,
    unit: settings?.unit ?? pair?.unit ?? asset,
    multiplier: settings?.multiplier ?? '1',
  };
}

function pairOf(asset: string): { readonly unit: string; readonly currency: string } | null {
  const [unit, currency, more] = asset.split('/');
  if (unit === undefined || currency === undefined || more !== undefined) return null;
  return currencyPattern.test(unit) && currencyPattern.test(currency) ? { unit, currency } : null;
}
