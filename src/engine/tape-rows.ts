import { StateError } from '../model/errors.ts';
import type { Bar, MarketEvent, Trade } from '../model/market.ts';
import { type DecimalString, isDecimalString } from '../model/money.ts';
import { assetPattern } from '../model/names.ts';
import { micros, type Timestamp, timestamp } from '../model/time.ts';

export type TapeFormat = 'trades' | 'bars';

/** What a row has wrong; whoever reads the file knows which file and line it is. */
export class FieldError extends Error {
  readonly column: string | null;
  readonly expected: string;

  constructor(column: string | null, expected: string) {
    super(expected);
    this.column = column;
    this.expected = expected;
  }
}

export interface RowOptions {
  /** What bars are bars of; the only asset to take of trades. */
  readonly asset?: string;
  readonly format?: TapeFormat;
  /** What bars are bars of where nobody said. */
  readonly name: string;
}

/** Turns one row into an event, or into null where it is not asked for. @throws FieldError */
export type RowReader = (row: readonly string[]) => MarketEvent | null;

/** Makes the reader of what stands under a header. @throws FieldError where the header lacks a column */
export function rowReader(header: readonly string[], options: RowOptions): RowReader {
  const columns = new Columns(header);
  const format = options.format ?? formatOf(columns);
  for (const name of required[format]) columns.require(name);
  return format === 'trades' ? tradeReader(columns, options.asset) : barReader(columns, options.asset ?? options.name);
}

const required = {
  trades: ['symbol', 'exch_ms', 'price', 'qty'],
  bars: ['date', 'open', 'high', 'low', 'close', 'volume'],
} as const;

/** A market without an hour in its dates closes at 21:00 UTC: 16:00 in New York in winter, and after the close in summer. */
const dayClosesAt = 'T21:00:00.000000Z';

class Columns {
  readonly names: readonly string[];
  readonly #indices: ReadonlyMap<string, number>;

  constructor(header: readonly string[]) {
    this.names = header;
    this.#indices = new Map(header.map((name, index) => [plain(name), index]));
  }

  /** What the header says, for a message: a file that is no text must not reach a terminal as it is. */
  get shown(): string {
    return JSON.stringify(this.names.join(', ').slice(0, 200));
  }

  index(name: string): number | undefined {
    return this.#indices.get(plain(name));
  }

  require(name: string): number {
    const index = this.index(name);
    const same = this.names.filter((other) => plain(other) === plain(name)).length;
    if (same > 1) throw new FieldError(name, `one column of this name in the header, and there are ${same}`);
    if (index !== undefined) return index;
    throw new FieldError(name, `a column of this name in the header, which has ${this.shown}`);
  }

  /** Every row has as many fields as the header, else its values may stand under the wrong names. */
  check(row: readonly string[]): void {
    if (row.length === this.names.length) return;
    throw new FieldError(null, `${this.names.length} fields as in the header, got ${row.length}`);
  }
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[\s_]/g, '');
}

function formatOf(columns: Columns): TapeFormat {
  if (columns.index('symbol') !== undefined) return 'trades';
  if (columns.index('open') !== undefined) return 'bars';
  throw new FieldError(
    null,
    `the columns of trades (${required.trades.join(', ')}) or of bars (${required.bars.join(', ')}), got ${columns.shown}`,
  );
}

function tradeReader(columns: Columns, wanted: string | undefined): RowReader {
  const symbol = columns.require('symbol');
  const venue = columns.index('venue');
  const exchMs = columns.require('exch_ms');
  const price = columns.require('price');
  const qty = columns.require('qty');
  const aggressor = columns.index('aggressor');
  const name = assetReader();
  const time = millisecondsReader();
  return (row) => {
    columns.check(row);
    const asset = name(row[symbol] ?? '', venue === undefined ? '' : (row[venue] ?? ''));
    if (wanted !== undefined && asset !== wanted) return null;
    const trade: Trade = {
      kind: 'trade',
      asset,
      price: decimalField('price', row[price]),
      amount: quantityField('qty', row[qty]),
      aggressor: aggressor === undefined ? null : side(row[aggressor]),
      at: time(row[exchMs]),
    };
    return Object.freeze(trade);
  };
}

function barReader(columns: Columns, asset: string): RowReader {
  assertAsset(asset, 'asset');
  const [date, open, high, low, close, volume] = required.bars.map((name) => columns.require(name)) as Six;
  return (row) => {
    columns.check(row);
    const bar: Bar = {
      kind: 'bar',
      asset,
      open: decimalField('open', row[open]),
      high: decimalField('high', row[high]),
      low: decimalField('low', row[low]),
      close: decimalField('close', row[close]),
      volume: quantityField('volume', row[volume]),
      at: closing(row[date] ?? ''),
    };
    return Object.freeze(bar);
  };
}

type Six = [number, number, number, number, number, number];

function decimalField(column: string, text: string | undefined): DecimalString {
  if (isDecimalString(text)) return detached(text);
  throw new FieldError(
    column,
    `a decimal number such as "150.25" with at most 24 digits before and after the point, got ${shown(text)}`,
  );
}

/** Prices may be below zero, as that of oil was; how much was traded may not, and would fill orders the wrong way round. */
function quantityField(column: string, text: string | undefined): DecimalString {
  const quantity = decimalField(column, text);
  if (!quantity.startsWith('-')) return quantity;
  throw new FieldError(column, `a decimal number from 0, got ${shown(text)}`);
}

/** A part of a long text keeps all of it in memory. A strategy may keep a price for days, and must not keep the file with it. */
function detached(text: string): string {
  return ` ${text}`.slice(1);
}

function side(text: string | undefined): Trade['aggressor'] {
  if (text === 'buy' || text === 'sell') return text;
  if (text === '') return null;
  throw new FieldError('aggressor', `"buy", "sell" or nothing, got ${shown(text)}`);
}

/** Names repeat in every row: each is put together and checked once. */
function assetReader(): (symbol: string, venue: string) => string {
  const known = new Map<string, Map<string, string>>();
  return (symbol, venue) => {
    let symbols = known.get(venue);
    if (symbols === undefined) {
      symbols = new Map();
      known.set(venue, symbols);
    }
    let asset = symbols.get(symbol);
    if (asset === undefined) {
      asset = venue === '' ? symbol : `${symbol}.${venue}`;
      assertAsset(asset, 'symbol');
      symbols.set(symbol, asset);
    }
    return asset;
  };
}

function assertAsset(asset: string, column: string): void {
  if (assetPattern.test(asset)) return;
  throw new FieldError(
    column,
    `an asset name of 1 to 64 printable ASCII characters without spaces, got ${shown(asset)}`,
  );
}

/** Trades of one millisecond come in bursts: a time is written out once for them all. */
function millisecondsReader(): (text: string | undefined) => Timestamp {
  let last: string | undefined;
  let at = '';
  return (text) => {
    if (text === last && text !== undefined) return at;
    const ms = text !== undefined && /^\d{1,14}$/.test(text) ? Number(text) : Number.NaN;
    // Above it a number has no place for microseconds, and the time would be another than the tape says.
    if (!Number.isSafeInteger(ms * 1000)) {
      throw new FieldError('exch_ms', `whole milliseconds since 1970, before the year 2255, got ${shown(text)}`);
    }
    at = timestamp(ms * 1000);
    last = text;
    return at;
  };
}

function closing(text: string): Timestamp {
  try {
    return timestamp(micros(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}${dayClosesAt}` : text));
  } catch (error) {
    if (!(error instanceof StateError)) throw error;
    throw new FieldError('date', `a date such as "2025-10-02", or a time with a zone, got ${shown(text)}`);
  }
}

function shown(text: string | undefined): string {
  return JSON.stringify((text ?? '').slice(0, 60));
}
