import pino from 'pino';

/** What the state manager logs with: pino fits. Fields are chosen one by one and never hold a secret. */
export interface Logger {
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean | null>>;

/** Lines of JSON to stderr, through a pino that is made with the first line. */
export function stderrLogger(): Logger {
  let logger: Logger | null = null;
  const made = (): Logger => {
    logger ??= pino({ name: 'holdfast' }, pino.destination({ dest: 2, sync: true }));
    return logger;
  };
  return {
    info: (fields, message) => made().info(fields, message),
    warn: (fields, message) => made().warn(fields, message),
    error: (fields, message) => made().error(fields, message),
  };
}
