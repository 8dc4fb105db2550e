import { systemAfter } from '../actor/timers.ts';
import { systemClock } from '../model/time.ts';
import type { LiveTradingEngineOptions } from './engine-options.ts';
import { silentLogger } from './logger.ts';

const defaults = {
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
} as const satisfies Partial<LiveTradingEngineOptions>;

/** The options with every default filled in. */
export type EngineSettings = LiveTradingEngineOptions & Required<Pick<LiveTradingEngineOptions, keyof typeof defaults>>;

export function engineSettings(options: LiveTradingEngineOptions): EngineSettings {
  return { ...defaults, ...options };
}
