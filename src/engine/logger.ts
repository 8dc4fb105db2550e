/** What the engine needs of a logger: pino's has it. Nothing is logged for each event. */
export interface EngineLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export const silentLogger: EngineLogger = { info: () => {}, warn: () => {}, error: () => {} };
