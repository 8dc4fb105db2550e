import { systemAfter } from '../actor/timers.ts';
import { ConfigError } from '../model/errors.ts';
import { systemClock } from '../model/time.ts';
import { reconciliationPolicies } from '../reconciliation/types.ts';
import type { LiveTradingEngineOptions } from './engine-options.ts';
import { silentLogger } from './logger.ts';

type Defaulted =
  | 'policy'
  | 'gate'
  | 'reconcileIntervalMs'
  | 'startDeadlineMs'
  | 'stopDeadlineMs'
  | 'lagMsMax'
  | 'mailboxCapacity'
  | 'host'
  | 'ownsState'
  | 'clock'
  | 'after'
  | 'logger';

const defaults: Required<Pick<LiveTradingEngineOptions, Defaulted>> = {
  policy: 'HALT_AND_ALERT',
  gate: 'durable',
  reconcileIntervalMs: 300_000,
  startDeadlineMs: 60_000,
  stopDeadlineMs: 10_000,
  lagMsMax: 10_000,
  mailboxCapacity: 8192,
  host: 'holdfast',
  ownsState: false,
  clock: systemClock,
  after: systemAfter,
  logger: silentLogger,
};

/** The options with every default filled in. */
export type EngineSettings = LiveTradingEngineOptions & Required<Pick<LiveTradingEngineOptions, Defaulted>>;

/**
 * An option that is undefined counts as absent.
 * @throws ConfigError ENGINE_OPTIONS_INVALID naming the option
 */
export function engineSettings(options: LiveTradingEngineOptions): EngineSettings {
  if (typeof options !== 'object' || options === null) throw invalid('options', 'an object of options', options);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const settings: EngineSettings = { ...defaults, ...(given as unknown as LiveTradingEngineOptions) };
  for (const [option, [expected, isRight]] of Object.entries(rules)) {
    const value: unknown = settings[option as keyof LiveTradingEngineOptions];
    if (!isRight(value)) throw invalid(option, expected, value);
  }
  return settings;
}

type Rule = readonly [expected: string, isRight: (value: unknown) => boolean];

const hasMethod =
  (...names: readonly (string | symbol)[]) =>
  (value: unknown): boolean =>
    typeof value === 'object' &&
    value !== null &&
    names.every((name) => typeof Reflect.get(value, name) === 'function');
const optional =
  (isRight: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === undefined || isRight(value);
const oneOf = (...values: readonly string[]): Rule => [
  `one of ${values.join(', ')}`,
  (value) => (values as readonly unknown[]).includes(value),
];
const whole = (min: number, max: number): Rule => [
  `a whole number from ${min} to ${max}`,
  (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
];
const isFunction = (value: unknown): boolean => typeof value === 'function';
/** The longest that a timer can wait. */
const msMax = 2 ** 31 - 1;

/** A wrong option would show as an engine that never compares, never sends, or does what nobody chose. */
const rules: Readonly<Record<string, Rule>> = {
  state: ['an opened state: what StateManager.open() resolves with', hasMethod('register', 'commit', 'durable')],
  broker: ['a broker adapter, such as loadBroker() gives', hasMethod('submitOrder', 'connect', 'fetchFills')],
  reconciler: ['a PositionReconciler', optional(hasMethod('reconcile'))],
  feed: ['an async iterable of market events', optional(hasMethod(Symbol.asyncIterator))],
  policy: oneOf(...reconciliationPolicies),
  gate: oneOf('durable', 'async'),
  reconcileIntervalMs: whole(0, msMax),
  startDeadlineMs: whole(1, msMax),
  stopDeadlineMs: whole(1, msMax),
  lagMsMax: whole(1, msMax),
  mailboxCapacity: whole(1, 2 ** 24),
  host: ['a name of at least one character', (value) => typeof value === 'string' && value !== ''],
  instruments: ['Instruments', optional(hasMethod('get', 'restore'))],
  ownsState: ['true or false', (value) => typeof value === 'boolean'],
  clock: ['a clock', hasMethod('nowMicros', 'monotonicMs')],
  after: ['a function', isFunction],
  random: ['a function', optional(isFunction)],
  logger: ['a logger', hasMethod('info', 'warn', 'error')],
  onAlert: ['a function', optional(isFunction)],
};

function invalid(option: string, expected: string, got: unknown): ConfigError {
  const shown = typeof got === 'object' && got !== null ? (Array.isArray(got) ? 'an array' : 'an object') : String(got);
  return new ConfigError(
    'ENGINE_OPTIONS_INVALID',
    `LiveTradingEngine option ${option}: expected ${expected}, got ${shown.slice(0, 60)}`,
    { details: { path: option } },
  );
}
