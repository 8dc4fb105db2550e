import { HoldfastError } from '../model/errors.ts';
import type { Timestamp } from '../model/time.ts';
import type { Alert, Alerter } from './alert.ts';
import type { EngineLogger } from './logger.ts';

export interface EngineAlertsOptions {
  readonly logger: EngineLogger;
  readonly now: () => Timestamp;
  readonly onAlert?: (alert: Alert) => void;
  readonly emit: (alert: Alert) => void;
}

/** Tells each alert to the log, to the host's callback and to listeners. A callback that throws is logged and stops nothing. */
export function engineAlerts({ logger, now, onAlert, emit }: EngineAlertsOptions): Alerter {
  return (level, code, message, more = {}) => {
    const error = more.error instanceof Error ? more.error : null;
    const strategy = more.strategy ?? null;
    const alert: Alert = { level, code, message, strategy, at: now(), details: more.details ?? {}, error };
    const cause = error instanceof HoldfastError ? error.code : error?.message;
    const stack = stackOf(code, error);
    logger[level](
      {
        code,
        ...(strategy === null ? {} : { strategy }),
        ...alert.details,
        ...(cause === undefined ? {} : { cause }),
        ...(stack === undefined ? {} : { stack }),
      },
      message,
    );
    try {
      onAlert?.(alert);
    } catch (thrown) {
      logger.error({ error: thrown }, 'onAlert threw');
    }
    emit(alert);
  };
}

/** Where the mistake was made, of the alerts that tell of a mistake in a program: of anything else the message says what to do. */
function stackOf(code: Alert['code'], error: Error | null): string | undefined {
  if (code !== 'STRATEGY_STOPPED' && code !== 'ENGINE_FAULT') return undefined;
  return error?.cause instanceof Error ? error.cause.stack : error?.stack;
}
