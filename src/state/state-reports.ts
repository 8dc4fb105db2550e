import { HoldfastError } from '../model/errors.ts';
import type { CheckpointDone } from '../persistence/protocol.ts';
import { Emitter } from './emitter.ts';
import type { HostStateEvents } from './host-state.ts';
import type { LagChange } from './lag-watch.ts';
import type { Logger } from './logger.ts';
import { type Standing, stalled, whatTheWorkerDoes } from './state-errors.ts';

/** What an open state tells of itself: each thing as an event and as a line of the log. It decides nothing. */
export class StateReports {
  readonly events: Emitter<HostStateEvents>;
  readonly #logger: Logger;
  readonly #standing: () => Standing;

  constructor(logger: Logger, standing: () => Standing) {
    this.#logger = logger;
    this.#standing = standing;
    this.events = new Emitter((event, error) => {
      logger.error({ event, error: String(error) }, `a listener of "${event}" threw: ${String(error)}`);
    });
  }

  checkpointed({ sequence, strategies, durationMs }: CheckpointDone): void {
    this.events.emit('checkpointed', { sequence, strategies: strategies.length, durationMs });
  }

  checkpointFailed(error: Error): void {
    this.#logger.warn({ code: codeOf(error) }, `a checkpoint was not written: ${error.message}`);
    this.events.emit('checkpointFailed', error);
  }

  workerRestarted(incarnation: number, cause: Error): void {
    this.#logger.error(
      { incarnation, code: codeOf(cause) },
      `the persistence worker ended and is replaced: ${cause.message}`,
    );
    this.events.emit('workerRestarted', { incarnation, cause });
  }

  failed(error: Error): void {
    const { sequence, durableSequence } = this.#standing();
    this.#logger.error(
      { code: codeOf(error), durable_sequence: durableSequence, sequence },
      `persistence has failed for good, no new orders: ${error.message}`,
    );
    this.events.emit('failed', error);
  }

  notice(level: 'info' | 'warn' | 'error', message: string): void {
    this.#logger[level]({ source: 'persistence' }, message);
    this.events.emit('notice', { level, message });
  }

  audit(kind: HostStateEvents['audit'][0]['kind'], message: string): void {
    this.#logger[kind === 'restarted' ? 'warn' : 'error']({ source: 'audit', audit: kind }, message);
    this.events.emit('audit', { kind, message });
  }

  auditNotice(level: 'info' | 'warn' | 'error', message: string): void {
    this.#logger[level]({ source: 'audit' }, message);
    this.events.emit('notice', { level, message });
  }

  /** Once this turn is over: what a commit costs has no line of a log in it. */
  valueLarge(strategy: string, key: string, bytes: number): void {
    setImmediate(() => {
      this.#logger.warn(
        { strategy, key, bytes },
        `strategy "${strategy}", state key ${JSON.stringify(key)}: the value has ${bytes} bytes and is written whole each time that it is set; spread it over several keys, or keep less`,
      );
      this.events.emit('stateValueLarge', { strategy, key, bytes });
    });
  }

  lag({ kind, lagMs, error }: LagChange): void {
    if (kind === 'recovered') {
      this.#logger.info({ lagged_ms: lagMs }, 'the state is durable again');
      this.events.emit('recovered', { laggedMs: lagMs });
      return;
    }
    const standing = this.#standing();
    const cause = kind === 'stalled' ? stalled(lagMs, error, standing) : error;
    this.#logger.warn(
      { lag_ms: lagMs, sequence: standing.sequence, durable_sequence: standing.durableSequence },
      `the state is not durable yet: ${cause?.message ?? whatTheWorkerDoes(standing)}`,
    );
    this.events.emit('lagging', { lagMs, error: cause });
  }
}

function codeOf(error: Error): string | null {
  return error instanceof HoldfastError ? error.code : null;
}
