import type { Strategy, StrategyContext } from '../../engine/strategy.ts';
import { ConfigError } from '../../model/errors.ts';
import type { MarketEvent } from '../../model/market.ts';
import { Decimal, type DecimalString, decimal, decimalString, isDecimalString, zero } from '../../model/money.ts';
import { micros } from '../../model/time.ts';

/** Options that the built-in strategies share. */
export interface SampledOptions {
  readonly asset: string;
  /** Signed amounts are made from this: a decimal string. */
  readonly quantity: string;
  /** How many samples the window holds. */
  readonly window: number;
  /** At most one sample in this much market time; 0 samples every event. */
  readonly sample_ms: number;
}

/** A window of sampled prices as of one event, newest last. */
export interface Sample {
  readonly price: Decimal;
  readonly window: readonly Decimal[];
}

/**
 * A strategy that looks at one asset's price at intervals of market time. The window is kept in the strategy's own state, so a
 * restart goes on with the window that the crash interrupted; an event between two samples changes nothing and commits nothing.
 */
export function sampled(
  name: string,
  options: SampledOptions,
  onSample: (context: StrategyContext, sample: Sample) => void,
): Strategy {
  const sampleMicros = options.sample_ms * 1000;
  let lastMicros = Number.NEGATIVE_INFINITY;

  function observe(context: StrategyContext, event: MarketEvent, price: string): void {
    const at = micros(event.at);
    if (at - lastMicros < sampleMicros) return;
    lastMicros = at;
    const before = (context.state.get('window') as readonly string[] | undefined) ?? [];
    const window = [...before.slice(-(options.window - 1)), price];
    context.state.set('window', window);
    if (window.length < options.window) return;
    onSample(context, { price: decimal(price), window: window.map((value) => decimal(value)) });
  }

  return {
    name,
    assets: [options.asset],
    onTrade: (context, trade) => observe(context, trade, trade.price),
    onBar: (context, bar) => observe(context, bar, bar.close),
  };
}

/**
 * Reads the shared options, with defaults; every error names the strategy and the field.
 * @param own the names of the options that this strategy has beside the shared ones: any other is a slip of the pen
 */
export function sampledOptions(
  name: string,
  given: Readonly<Record<string, unknown>>,
  own: readonly string[] = [],
): SampledOptions {
  const known = [...shared, ...own];
  const unknown = Object.keys(given).find((field) => !known.includes(field));
  if (unknown !== undefined) throw invalid(name, unknown, `one of ${known.join(', ')}; there is no such option`);
  const { asset, window = 20, sample_ms = 0 } = given;
  if (typeof asset !== 'string') throw invalid(name, 'asset', 'the name of an asset');
  const quantity = decimalString(decimalOption(name, given, 'quantity', '1'));
  if (!Number.isInteger(window) || (window as number) < 2) throw invalid(name, 'window', 'a whole number from 2');
  if (typeof sample_ms !== 'number' || !(sample_ms >= 0)) throw invalid(name, 'sample_ms', 'milliseconds, 0 or more');
  return { asset, quantity, window: window as number, sample_ms };
}

const shared: readonly (keyof SampledOptions)[] = ['asset', 'quantity', 'window', 'sample_ms'];

/** @throws ConfigError CONFIG_INVALID where it is no decimal string above zero */
export function decimalOption(
  name: string,
  given: Readonly<Record<string, unknown>>,
  field: string,
  otherwise: DecimalString,
): Decimal {
  const text = given[field] ?? otherwise;
  const value = isDecimalString(text) ? decimal(text) : zero;
  if (value.gt(0)) return value;
  throw invalid(name, field, `a decimal string above zero such as "${otherwise}", got ${JSON.stringify(text)}`);
}

/** The position's signed amount, zero where there is none. */
export function held(context: StrategyContext, asset: string): Decimal {
  return new Decimal(context.position(asset)?.amount ?? '0');
}

function invalid(name: string, field: string, expected: string): ConfigError {
  return new ConfigError('CONFIG_INVALID', `strategy ${name}: options.${field}: expected ${expected}`, {
    details: { path: `options.${field}` },
  });
}
