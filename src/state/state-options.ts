import { isAbsolute, resolve } from 'node:path';
import { ConfigError } from '../model/errors.ts';
import { type Decimal, decimal, isDecimalString } from '../model/money.ts';
import { currencyPattern } from '../model/names.ts';
import { type Clock, systemClock } from '../model/time.ts';
import { type PersistenceOptions, segmentAheadBytes } from '../persistence/protocol.ts';
import { defaultStateDirectory } from '../persistence/state-directory.ts';
import { type Logger, stderrLogger } from './logger.ts';
import { defaultStateLimits, type StateLimits } from './state-limits.ts';

export interface StateManagerOptions {
  /** Default: HOLDFAST_STATE_DIR, else ~/.holdfast/state. */
  readonly directory?: string;
  /** The host's name in status and messages. Default "holdfast". */
  readonly host?: string;
  /** Base currency: that of `cash_balance`. Default "USD". */
  readonly currency?: string;
  /** A checkpoint of everything that changed, this often. Default 60,000; 0 turns it off. */
  readonly checkpointIntervalMs?: number;
  /** A checkpoint as soon as so much changed since the last one; what is absent does not count. */
  readonly significantChange?: {
    readonly commits?: number;
    /** Bytes that the persistence worker wrote since, looked at about once a second. Default 64 MiB; 0 turns it off. */
    readonly journalBytes?: number;
    /** Sum over the changes of positions of |change of amount| × price, whatever the currency. A decimal string; "0" turns it off. */
    readonly notional?: string;
  };
  /** Checkpoint generations of a strategy that are kept: 2 to 100, default 3. */
  readonly generations?: number;
  /** Default one hour. */
  readonly staleAfterMs?: number;
  readonly lag?: {
    /** While so many deltas are unacknowledged, entries wait and conflate. Default 256. */
    readonly unacknowledgedDeltasMax?: number;
    /** The same by the number of entries and events in them. Default 65,536. */
    readonly unacknowledgedEntriesMax?: number;
    /** While so many events are not durable, `acceptsIntents` is false. Default 16,384. */
    readonly eventsMax?: number;
    /** `lagging` is emitted when the oldest commit that is not durable is this old. Default 1,000. */
    readonly lagMsMax?: number;
  };
  /** When the oldest commit that is not durable is this old, `acceptsIntents` is false until it is. Default 30,000. */
  readonly stallLimitMs?: number;
  /** How many times in a minute a worker that ended is replaced. Default 5. */
  readonly restartsMax?: number;
  /** The wait before the first of them; it doubles from one to the next. Default 100. */
  readonly restartBackoffMs?: number;
  /**
   * How long exit handlers wait until what was committed is durable, also what a handler that runs after ours commits. Default 2,000;
   * 0 turns it off.
   */
  readonly lastWordsMs?: number;
  /**
   * True: a worker of its own keeps every event, the positions and the strategies' state in audit.db, in the state directory. Default
   * false: who only keeps state pays for no second worker. `holdfast run` turns it on.
   */
  readonly audit?: boolean | AuditStateOptions;
  /** True: also on a network or memory file system, which cannot keep the promises. */
  readonly force?: boolean;
  /** For tests of faults: a module that exports createFileSystem(options), for the worker in place of node:fs. */
  readonly fileSystem?: { readonly module: string; readonly options?: unknown };
  /** A state value with more bytes as JSON is told of once, by `stateValueLarge` and a warning. Default 64 KiB. */
  readonly stateValueWarnBytes?: number;
  /** set() refuses a state value with more. Default 16 MiB, at most 64 MiB. */
  readonly stateValueMaxBytes?: number;
  /** set() refuses what would bring all state values of a strategy above it, keys included. Default 64 MiB, at most 128 MiB. */
  readonly strategyStateMaxBytes?: number;
  /** The same for all strategies of the host together. Default and at most 128 MiB: one journal record can then restate them all. */
  readonly hostStateMaxBytes?: number;
  /** addEvent() refuses an event with more bytes as JSON. Default 1 MiB, at most 16 MiB. */
  readonly eventMaxBytes?: number;
  readonly logger?: Logger;
  readonly clock?: Clock;
}

export interface AuditStateOptions {
  /** How often the audit looks for more, and so how often at most it makes the disk busy while it keeps up. Default 1,000. */
  readonly everyMs?: number;
  /** An audit worker that makes no turn for so long is ended and replaced. Default 60,000. */
  readonly hangMs?: number;
  /** How long a close waits, within its own deadline, for the audit to have everything. What is missing then the next start adds. Default 5,000. */
  readonly finishMs?: number;
  /** Bounds its heap: beyond it the worker ends and is replaced. Default: Node's own. */
  readonly heapMbMax?: number;
  /** For tests of faults, as above, for how it reads the journal. */
  readonly fileSystem?: { readonly module: string; readonly options?: unknown };
}

export interface AuditSettings {
  readonly everyMs: number;
  readonly hangMs: number;
  readonly finishMs: number;
  readonly heapMbMax: number | null;
  readonly fileSystem: { readonly module: string; readonly options?: unknown } | null;
}

export interface StateSettings {
  readonly directory: string;
  readonly host: string;
  readonly currency: string;
  readonly checkpointIntervalMs: number;
  readonly significantCommits: number;
  readonly significantBytes: number;
  readonly significantNotional: Decimal | null;
  readonly generations: number;
  readonly staleAfterMs: number;
  readonly unacknowledgedDeltasMax: number;
  readonly unacknowledgedEntriesMax: number;
  readonly eventsMax: number;
  readonly lagMsMax: number;
  readonly stallLimitMs: number;
  readonly restartsMax: number;
  readonly restartBackoffMs: number;
  readonly lastWordsMs: number;
  /** Null: no audit. */
  readonly audit: AuditSettings | null;
  readonly force: boolean;
  readonly fileSystem: { readonly module: string; readonly options?: unknown } | null;
  readonly limits: StateLimits;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** @throws ConfigError STATE_OPTIONS_INVALID naming the option */
export function stateSettings(options: StateManagerOptions): StateSettings {
  assertGroup('options', options);
  const { significantChange: significant = {}, lag = {} } = options;
  assertGroup('significantChange', significant);
  assertGroup('lag', lag);
  const currency = options.currency ?? 'USD';
  if (!currencyPattern.test(currency)) throw invalid('currency', 'a currency such as "USD"', currency);
  const directory: unknown = options.directory ?? defaultStateDirectory(process.env);
  // "" would be the current directory, which nobody means who passes a variable that is not set.
  if (typeof directory !== 'string' || directory === '' || directory.includes('\0')) {
    throw invalid('directory', 'the path of a directory', directory);
  }
  return {
    directory: isAbsolute(directory) ? directory : resolve(directory),
    host: text('host', options.host ?? 'holdfast'),
    currency,
    checkpointIntervalMs: whole('checkpointIntervalMs', options.checkpointIntervalMs ?? 60_000, 0, 86_400_000),
    significantCommits: whole('significantChange.commits', significant.commits ?? 0, 0, Number.MAX_SAFE_INTEGER),
    significantBytes: whole('significantChange.journalBytes', significant.journalBytes ?? 64 * 2 ** 20, 0, 2 ** 50),
    significantNotional: notional(significant.notional),
    generations: whole('generations', options.generations ?? 3, 2, 100),
    staleAfterMs: whole('staleAfterMs', options.staleAfterMs ?? 3_600_000, 0, Number.MAX_SAFE_INTEGER),
    unacknowledgedDeltasMax: whole('lag.unacknowledgedDeltasMax', lag.unacknowledgedDeltasMax ?? 256, 1, 1_000_000),
    unacknowledgedEntriesMax: whole('lag.unacknowledgedEntriesMax', lag.unacknowledgedEntriesMax ?? 65_536, 1, 2 ** 30),
    eventsMax: whole('lag.eventsMax', lag.eventsMax ?? 16_384, 1, 2 ** 30),
    lagMsMax: whole('lag.lagMsMax', lag.lagMsMax ?? 1_000, 1, 3_600_000),
    stallLimitMs: whole('stallLimitMs', options.stallLimitMs ?? 30_000, 1, 86_400_000),
    restartsMax: whole('restartsMax', options.restartsMax ?? 5, 0, 1_000_000),
    restartBackoffMs: whole('restartBackoffMs', options.restartBackoffMs ?? 100, 0, 60_000),
    lastWordsMs: whole('lastWordsMs', options.lastWordsMs ?? 2_000, 0, 600_000),
    audit: auditSettings(options.audit ?? false),
    force: flag('force', options.force ?? false),
    fileSystem: options.fileSystem ?? null,
    limits: stateLimits(options),
    logger: methods('logger', options.logger ?? stderrLogger(), ['info', 'warn', 'error']),
    clock: methods('clock', options.clock ?? systemClock, ['nowMicros', 'monotonicMs']),
  };
}

/** What the persistence worker needs of them. */
export function persistenceOptions(settings: StateSettings, epoch: number): PersistenceOptions {
  const { directory, host, currency, generations, staleAfterMs, fileSystem } = settings;
  return {
    directory,
    epoch,
    host,
    currency,
    generations,
    segmentBytesMax: 16 * 2 ** 20,
    segmentAheadBytes,
    journalBytesMax: 256 * 2 ** 20,
    staleAfterMs,
    heartbeatMs: 60_000,
    statusMs: 1_000,
    fileSystem,
    atLeast: 0,
  };
}

function auditSettings(audit: boolean | AuditStateOptions): AuditSettings | null {
  if (audit === false) return null;
  const given: AuditStateOptions = audit === true ? {} : audit;
  assertGroup('audit', given);
  return {
    everyMs: whole('audit.everyMs', given.everyMs ?? 1_000, 1, 60_000),
    hangMs: whole('audit.hangMs', given.hangMs ?? 60_000, 10, 3_600_000),
    finishMs: whole('audit.finishMs', given.finishMs ?? 5_000, 0, 600_000),
    heapMbMax: given.heapMbMax === undefined ? null : whole('audit.heapMbMax', given.heapMbMax, 16, 1_000_000),
    fileSystem: given.fileSystem ?? null,
  };
}

const KiB = 1024;
const MiB = 2 ** 20;

function stateLimits(options: StateManagerOptions): StateLimits {
  const defaults = defaultStateLimits;
  return {
    ...defaults,
    stateValueWarnBytes: whole(
      'stateValueWarnBytes',
      options.stateValueWarnBytes ?? defaults.stateValueWarnBytes,
      1,
      128 * MiB,
    ),
    stateValueMaxBytes: whole(
      'stateValueMaxBytes',
      options.stateValueMaxBytes ?? defaults.stateValueMaxBytes,
      KiB,
      64 * MiB,
    ),
    strategyStateMaxBytes: whole(
      'strategyStateMaxBytes',
      options.strategyStateMaxBytes ?? defaults.strategyStateMaxBytes,
      KiB,
      128 * MiB,
    ),
    hostStateMaxBytes: whole(
      'hostStateMaxBytes',
      options.hostStateMaxBytes ?? defaults.hostStateMaxBytes,
      KiB,
      128 * MiB,
    ),
    eventMaxBytes: whole('eventMaxBytes', options.eventMaxBytes ?? defaults.eventMaxBytes, KiB, 16 * MiB),
  };
}

function whole(option: string, value: number, min: number, max: number): number {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw invalid(option, `a whole number from ${min} to ${max}`, value);
}

function text(option: string, value: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw invalid(option, 'text of at least one character', value);
}

function flag(option: string, value: boolean): boolean {
  if (typeof value === 'boolean') return value;
  throw invalid(option, 'true or false', value);
}

function notional(value: string | undefined): Decimal | null {
  if (value === undefined) return null;
  if (!isDecimalString(value) || decimal(value).isNegative()) {
    throw invalid('significantChange.notional', 'a decimal string such as "100000", "0" to turn it off', value);
  }
  return decimal(value).isZero() ? null : decimal(value);
}

function methods<T extends object>(option: string, value: T, names: readonly (keyof T & string)[]): T {
  const given: unknown = value;
  const isObject = typeof given === 'object' && given !== null;
  if (isObject && names.every((name) => typeof value[name] === 'function')) return value;
  throw invalid(option, `an object with ${names.join(', ')}`, value);
}

/** @throws ConfigError where an options object is something else: null, a path in place of `{ directory }` */
function assertGroup(option: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(option, 'an object of options, or nothing', value);
  }
}

function invalid(option: string, expected: string, got: unknown): ConfigError {
  return new ConfigError(
    'STATE_OPTIONS_INVALID',
    `StateManager option ${option}: expected ${expected}, got ${JSON.stringify(got) ?? String(got)}`,
    { details: { path: option } },
  );
}
