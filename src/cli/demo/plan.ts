import { FeedError } from '../../model/errors.ts';
import { Decimal, type DecimalString, decimal, decimalString } from '../../model/money.ts';
import { micros, type Timestamp } from '../../model/time.ts';
import { tapeFeed } from '../tape-feed.ts';
import type { DemoTape } from './tapes.ts';

/** What the demo will do with its tapes: found by reading them once, so that any tape of trades or bars serves. */
export interface DemoPlan {
  readonly tapes: readonly DemoTape[];
  readonly currency: string;
  /** The account's cash; the strategies' shares of it add up to it. */
  readonly cash: DecimalString;
  readonly strategies: readonly DemoStrategy[];
  /** The earliest and the latest that is played: of several tapes where every traded asset has data, a single one whole. */
  readonly from: Timestamp;
  readonly to: Timestamp;
  readonly playSeconds: number;
  /** Times real time, so that the whole takes about so long. */
  readonly speed: number;
}

export interface DemoStrategy {
  readonly name: string;
  readonly module: 'ladder' | 'mean-reversion' | 'breakout';
  readonly asset: string;
  readonly cash: DecimalString;
  readonly options: Readonly<Record<string, string | number>>;
}

interface Seen {
  readonly asset: string;
  first: Timestamp;
  readonly kind: string;
  readonly price: DecimalString;
  last: Timestamp;
  count: number;
}

const cashOfEach = 1_000_000;
const notional = 20_000;

/** Reads the tapes once and decides what is traded: the assets with most events, and one strategy more than there are assets. */
export async function planDemo(tapes: readonly DemoTape[], playSeconds: number): Promise<DemoPlan> {
  const seen = new Map<string, Seen>();
  for await (const event of tapeFeed(tapes)) {
    const before = seen.get(event.asset);
    if (before === undefined) {
      const price = event.kind === 'trade' ? event.price : event.kind === 'bar' ? event.close : event.bid;
      seen.set(event.asset, { asset: event.asset, kind: event.kind, price, first: event.at, last: event.at, count: 1 });
    } else {
      // A tape of several venues is in the order in which it was recorded, which is not quite that of their clocks.
      if (event.at < before.first) before.first = event.at;
      if (event.at > before.last) before.last = event.at;
      before.count += 1;
    }
  }
  // Contracts that are margined in the coin itself are worth so many dollars and not so much coin: the market data flows, nothing trades.
  const tradable = [...seen.values()].filter(({ asset }) => !asset.includes('PERP')).sort((a, b) => b.count - a.count);
  const traded = tradable.slice(0, 3);
  const [first] = traded;
  if (first === undefined) {
    const paths = tapes.map(({ path }) => path).join(', ');
    throw new FeedError('FEED_EMPTY', `${paths}: holds nothing that can be traded; give a tape of trades or bars`);
  }
  const single = tapes.length === 1;
  const from = traded.map((asset) => asset.first).reduce((a, b) => (a > b === single ? b : a));
  const to = traded.map((asset) => asset.last).reduce((a, b) => (a < b === single ? b : a));
  const strategies = strategiesFor(traded);
  return {
    tapes,
    currency: first.asset.includes('USDT') ? 'USDT' : 'USD',
    cash: String(cashOfEach * strategies.length),
    strategies,
    from,
    to,
    playSeconds,
    speed: Math.max(1, (micros(to) - micros(from)) / 1e6 / playSeconds),
  };
}

function strategiesFor(traded: readonly Seen[]): DemoStrategy[] {
  const at = (index: number): Seen => traded[index % traded.length] as Seen;
  const bars = at(0).kind === 'bar';
  const common = (seen: Seen) => ({ asset: seen.asset, quantity: quantityFor(seen), sample_ms: bars ? 0 : 1000 });
  const make = (
    name: string,
    module: DemoStrategy['module'],
    seen: Seen,
    options: Readonly<Record<string, string | number>>,
  ): DemoStrategy => ({
    name,
    module,
    asset: seen.asset,
    cash: String(cashOfEach),
    options: { ...common(seen), ...options },
  });
  return [
    make('ladder', 'ladder', at(0), { offset: bars ? '0.004' : '0.0001' }),
    make('mean_reversion', 'mean-reversion', at(0), { window: 10, band: bars ? '0.01' : '0.0002' }),
    make('breakout', 'breakout', at(1), { window: bars ? 20 : 15 }),
  ];
}

/** About the same money for every asset: whole shares for bars, three decimals for trades of coins. */
function quantityFor({ price, kind }: Seen): DecimalString {
  const exact = new Decimal(notional).div(decimal(price));
  return decimalString(kind === 'bar' ? Decimal.max(exact.floor(), 1) : Decimal.max(exact.toDecimalPlaces(3), '0.001'));
}
