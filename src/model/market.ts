import type { DecimalString } from './money.ts';
import type { Timestamp } from './time.ts';

/** One thing that the market said. `asset` is unique across venues; prices and sizes are exact strings. */
export type MarketEvent = Trade | Quote | Bar;

export interface Trade {
  readonly kind: 'trade';
  readonly asset: string;
  readonly price: DecimalString;
  readonly amount: DecimalString;
  /** Who crossed the spread; null where the source does not say. */
  readonly aggressor: 'buy' | 'sell' | null;
  readonly at: Timestamp;
}

export interface Quote {
  readonly kind: 'quote';
  readonly asset: string;
  readonly bid: DecimalString;
  readonly bid_amount: DecimalString;
  readonly ask: DecimalString;
  readonly ask_amount: DecimalString;
  readonly at: Timestamp;
}

export interface Bar {
  readonly kind: 'bar';
  readonly asset: string;
  readonly open: DecimalString;
  readonly high: DecimalString;
  readonly low: DecimalString;
  readonly close: DecimalString;
  readonly volume: DecimalString;
  /** When the bar closed. */
  readonly at: Timestamp;
}
