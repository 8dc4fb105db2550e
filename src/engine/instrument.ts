import { ConfigError } from '../model/errors.ts';
import { type InstrumentSettings, type InstrumentTerms, termsOf } from '../model/instrument-terms.ts';
import { isDecimalString } from '../model/money.ts';
import { assetPattern, currencyPattern } from '../model/names.ts';
import type { OrderSnapshot } from '../model/order.ts';
import type { PositionSnapshot } from '../model/position.ts';

export type { InstrumentSettings } from '../model/instrument-terms.ts';

/** What the ledger must know about an asset. */
export interface Instrument extends InstrumentTerms {
  readonly asset: string;
  /** A small integer for the asset, unique on the host. */
  readonly sid: number;
}

/**
 * The assets of one host. An asset that nobody described is priced in the base currency, unless its name is a pair: "BTC/USDT" is
 * priced in USDT and is BTC. An asset has a sid from the moment that it is first asked for; those of restored positions and orders
 * stay, and a new one is above all of them.
 */
export class Instruments {
  readonly #currency: string;
  readonly #settings: ReadonlyMap<string, InstrumentSettings>;
  readonly #known = new Map<string, Instrument>();
  readonly #sids = new Map<string, number>();
  readonly #taken = new Set<number>();
  #sidMax = 0;

  /** @throws ConfigError INSTRUMENT_INVALID */
  constructor(currency: string, settings: Readonly<Record<string, InstrumentSettings>> = {}) {
    this.#currency = currency;
    this.#settings = new Map(Object.entries(settings));
    for (const [asset, one] of this.#settings) assertSettings(asset, one);
  }

  get(asset: string): Instrument {
    const known = this.#known.get(asset);
    if (known !== undefined) return known;
    const terms = termsOf(asset, this.#settings.get(asset), this.#currency);
    const instrument: Instrument = Object.freeze({ asset, sid: this.#sid(asset), ...terms });
    this.#known.set(asset, instrument);
    return instrument;
  }

  /**
   * Takes over the sids of what was restored; to be called before the first get(). Where two assets have one sid, or one asset
   * two, the first stays: the other gets its new one with its next change.
   */
  restore(entries: Iterable<PositionSnapshot | OrderSnapshot>): void {
    for (const { asset, sid } of entries) {
      if (sid === undefined || sid === null || this.#sids.has(asset) || this.#taken.has(sid)) continue;
      this.#take(asset, sid);
    }
  }

  #sid(asset: string): number {
    return this.#sids.get(asset) ?? this.#take(asset, this.#sidMax + 1);
  }

  #take(asset: string, sid: number): number {
    this.#sids.set(asset, sid);
    this.#taken.add(sid);
    if (sid > this.#sidMax) this.#sidMax = sid;
    return sid;
  }
}

function assertSettings(asset: string, settings: InstrumentSettings): void {
  const { currency, unit, multiplier } = settings;
  const wrong = [
    assetPattern.test(asset) ? null : 'expected a name of 1 to 64 printable ASCII characters without spaces',
    currency === undefined || currencyPattern.test(currency) ? null : 'currency: expected one such as "USD"',
    unit === undefined || currencyPattern.test(unit) ? null : 'unit: expected one such as "BTC"',
    multiplier === undefined || (isDecimalString(multiplier) && /^[^-]*[1-9]/.test(multiplier))
      ? null
      : 'multiplier: expected a decimal string above zero such as "50"',
  ].filter((text) => text !== null);
  if (wrong.length === 0) return;
  throw new ConfigError('INSTRUMENT_INVALID', `instrument ${JSON.stringify(asset)}: ${wrong.join('; ')}`, {
    details: { asset },
  });
}
