import { systemAfter } from '../actor/timers.ts';
import { systemClock } from '../model/time.ts';
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

export function engineSettings(options: LiveTradingEngineOptions): EngineSettings {
  return { ...defaults, ...options };
}
