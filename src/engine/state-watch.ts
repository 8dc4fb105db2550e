import type { HostState, HostStateEvents } from '../state/host-state.ts';
import type { Alerter } from './alert.ts';
import type { EngineLogger } from './logger.ts';

export interface StateWatchOptions {
  readonly state: HostState;
  readonly alert: Alerter;
  readonly logger: EngineLogger;
  /** The durable sequence advanced. */
  readonly durable: () => void;
  /** Persistence is gone for good. */
  readonly failed: (error: Error) => void;
}

const auditCodes = { gap: 'AUDIT_GAP', restarted: 'AUDIT_RESTARTED', failed: 'AUDIT_FAILED' } as const;

/** What the state tells of itself: the restore at its opening, and how persistence fares. */
export class StateWatch {
  readonly #options: StateWatchOptions;
  readonly #stopListening: (() => void)[] = [];
  #hasFailed = false;

  constructor(options: StateWatchOptions) {
    this.#options = options;
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  begin(): void {
    const { alert, durable, failed } = this.#options;
    this.#listen('durable', durable);
    this.#listen('lagging', ({ lagMs, error }) => {
      const message = `persistence lags: the oldest commit waits for ${Math.round(lagMs)} ms`;
      alert('warn', 'PERSISTENCE_LAGGING', message, { details: { lag_ms: Math.round(lagMs) }, error });
    });
    this.#listen('recovered', ({ laggedMs }) => {
      alert('info', 'PERSISTENCE_RECOVERED', `persistence is up to date again after ${Math.round(laggedMs)} ms`);
    });
    this.#listen('failed', (error) => {
      this.#hasFailed = true;
      alert('error', 'PERSISTENCE_FAILED', `persistence failed for good: ${error.message}`, { error });
      failed(error);
    });
    this.#listen('audit', ({ kind, message }) => {
      alert(kind === 'restarted' ? 'warn' : 'error', auditCodes[kind], message);
    });
    this.#listen('stateValueLarge', ({ strategy, key, bytes }) => {
      const message = `strategy "${strategy}", state key ${JSON.stringify(key)}: the value has ${bytes} bytes, and each change of it writes all of them`;
      alert('warn', 'STATE_VALUE_LARGE', message, { strategy, details: { key, bytes } });
    });
    this.#reportRecovery();
  }

  end(): void {
    for (const stop of this.#stopListening.splice(0)) stop();
  }

  #reportRecovery(): void {
    const { state, logger, alert } = this.#options;
    const { epoch, sequence, age_ms, used, lost, stale, timestamp } = state.recovery;
    logger.info({ epoch, sequence, age_ms, used: used.length, lost: lost.length }, 'restored');
    for (const loss of lost) logger.warn({ ...loss }, 'lost in the restore');
    if (!stale) return;
    const message = `the restored state is of ${timestamp}; prices and orders may have moved far since`;
    alert('warn', 'STATE_STALE', message, { details: { age_ms } });
  }

  #listen<K extends keyof HostStateEvents>(event: K, listener: (...args: HostStateEvents[K]) => void): void {
    const { state } = this.#options;
    state.on(event, listener);
    this.#stopListening.push(() => state.off(event, listener));
  }
}
