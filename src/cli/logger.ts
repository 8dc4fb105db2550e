import { pino } from 'pino';
import pretty from 'pino-pretty';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/**
 * Logs go to standard error: lines that a person reads on a terminal, JSON lines elsewhere. Written synchronously, since a line
 * that explains an exit must be out before it; nothing on the hot path logs.
 */
export function makeLogger(level: LogLevel, base: Readonly<Record<string, string | number>> = {}): pino.Logger {
  const options: pino.LoggerOptions = { level, base, timestamp: pino.stdTimeFunctions.isoTime };
  if (process.stderr.isTTY) {
    return pino(
      options,
      pretty({ colorize: true, translateTime: 'HH:MM:ss.l', singleLine: true, destination: 2, sync: true }),
    );
  }
  return pino(options, pino.destination({ dest: 2, sync: true }));
}
