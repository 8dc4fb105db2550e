import { ConfigError } from '../../model/errors.ts';
import { type Decimal, type DecimalString, decimal, isDecimalString, zero } from '../../model/money.ts';
import { assetPattern, currencyPattern } from '../../model/names.ts';
import type { Clock } from '../../model/time.ts';

export interface PaperExchangeOptions {
  /** What can be traded: each asset's quote currency, or more about it. */
  readonly assets: Readonly<Record<string, string | PaperAsset>>;
  /** Cash at the start, for each currency. */
  readonly cash: Readonly<Record<string, DecimalString>>;
  /** The account's own currency: the first of `cash` where absent. */
  readonly currency?: string;
  /** Fee in basis points of what was traded: one figure for all, or one for each quote currency. Default none. */
  readonly feeBps?: DecimalString | Readonly<Record<string, DecimalString>>;
  /** Whether a sale may open a short position. Default true. */
  readonly shorts?: boolean;
  /**
   * What becomes of an order that would trade with an order of the account's own: "refuse" (default), as Alpaca does, or "accept",
   * where the two are filled by the market and never by each other.
   */
  readonly opposingOrders?: 'refuse' | 'accept';
  /** Whether an asset that the tape names and `assets` does not is listed, in the account's currency. Default false. */
  readonly listFromTape?: boolean;
  /**
   * Ids follow from it. Random where absent, because an exchange that is started again must not repeat execution ids: whoever
   * knows the old ones would take new fills for old.
   */
  readonly seed?: number;
  readonly clock?: Clock;
  /** What orders and fills are dated by: the clock (default), or the newest market event. */
  readonly time?: 'clock' | 'event';
}

export interface PaperAsset {
  readonly currency: string;
  /** As the Alpaca API classes it. Default "crypto" for names with a slash, otherwise "us_equity". */
  readonly assetClass?: 'us_equity' | 'crypto';
  /** Instead of the exchange's. */
  readonly feeBps?: DecimalString;
  /**
   * What a fee is taken in: "received" is what the trade brings, so that a buy of "BTC/USD" pays in BTC and a sale in USD, as for
   * crypto at Alpaca and the default for such a pair; "quote" is always the quote currency, the default for everything else.
   */
  readonly feeIn?: 'received' | 'quote';
  /**
   * How parts of a unit are traded. "day": only by orders for the day, and never sold short, as shares at Alpaca and the default for
   * them. "any": like whole units, the default for coins and for what only a tape names, since nobody has said what it is.
   */
  readonly fractions?: 'day' | 'any';
}

export interface ListedAsset {
  readonly name: string;
  readonly currency: string;
  readonly assetClass: 'us_equity' | 'crypto';
  readonly feeBps: Decimal;
  /** What a buy's fee is taken in: "BTC" of "BTC/USD", which leaves the position; null for the quote currency. */
  readonly feeUnit: string | null;
  readonly fractions: 'day' | 'any';
}

export interface CheckedOptions {
  readonly currency: string;
  readonly cash: ReadonlyMap<string, Decimal>;
  readonly assets: ReadonlyMap<string, ListedAsset>;
  /** Lists what only a tape names. */
  list(name: string): ListedAsset;
}

/** @throws ConfigError PAPER_OPTIONS_INVALID naming the option */
export function checkOptions(options: PaperExchangeOptions): CheckedOptions {
  const cash = new Map(
    Object.entries(options.cash).map(([currency, amount]) => [
      checkCurrency(currency, `cash.${currency}`),
      checkDecimal(amount, `cash.${currency}`),
    ]),
  );
  const currency = checkCurrency(options.currency ?? [...cash.keys()][0] ?? 'USD', 'currency');
  const list = (name: string, given: string | PaperAsset = { currency, fractions: 'any' }): ListedAsset => {
    const asset = typeof given === 'string' ? { currency: given } : given;
    if (!assetPattern.test(name)) throw invalid(`assets.${name}`, 'an asset name of printable ASCII without spaces');
    const assetClass = asset.assetClass ?? (name.includes('/') ? 'crypto' : 'us_equity');
    return {
      name,
      currency: checkCurrency(asset.currency, `assets.${name}`),
      assetClass,
      feeUnit: (asset.feeIn ?? (assetClass === 'crypto' ? 'received' : 'quote')) === 'received' ? unitOf(name) : null,
      fractions: asset.fractions ?? (assetClass === 'crypto' ? 'any' : 'day'),
      feeBps: checkFee(asset.feeBps ?? feeOf(options, asset.currency), `assets.${name}.feeBps`),
    };
  };
  const assets = new Map(Object.entries(options.assets).map(([name, given]) => [name, list(name, given)]));
  return { currency, cash, assets, list };
}

/** Only a pair says what one unit of it is. */
function unitOf(name: string): string | null {
  const [unit = '', quote] = name.split('/');
  return quote !== undefined && currencyPattern.test(unit) ? unit : null;
}

function feeOf(options: PaperExchangeOptions, currency: string): DecimalString {
  if (options.feeBps === undefined || typeof options.feeBps === 'string') return options.feeBps ?? '0';
  return options.feeBps[currency] ?? '0';
}

function checkCurrency(currency: string, path: string): string {
  if (!currencyPattern.test(currency)) throw invalid(path, 'a currency such as "USD"');
  return currency;
}

function checkDecimal(text: unknown, path: string): Decimal {
  if (!isDecimalString(text)) throw invalid(path, 'a decimal string such as "100000"');
  return decimal(text);
}

function checkFee(text: unknown, path: string): Decimal {
  const fee = checkDecimal(text, path);
  if (fee.lt(zero) || fee.gte(10_000)) throw invalid(path, 'basis points from "0" to below "10000"');
  return fee;
}

function invalid(path: string, expected: string): ConfigError {
  return new ConfigError('PAPER_OPTIONS_INVALID', `paper exchange option ${path}: expected ${expected}`, {
    details: { path },
  });
}
