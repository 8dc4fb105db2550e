/**
 * Every error that Holdfast throws on purpose. A message names what failed, where, what was expected and what to do; `code` is
 * stable and is what programs test; `cause` is the error underneath. Across a thread an error travels as a {@link WireError}.
 */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | null>>;

export interface ErrorOptionsWithDetails {
  readonly cause?: unknown;
  /** Plain facts for programs: path, line, stage, errno, strategy, sequence … Never a secret. */
  readonly details?: ErrorDetails;
  /** True when the same call may succeed later without anybody changing anything. Default false. */
  readonly retryable?: boolean;
}

export class HoldfastError extends Error {
  readonly code: string;
  readonly details: ErrorDetails;
  readonly retryable: boolean;

  constructor(code: string, message: string, options: ErrorOptionsWithDetails = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.details = options.details ?? {};
    this.retryable = options.retryable ?? false;
  }
}

/** The state directory, the journal, the persistence worker, or a value that cannot be kept. */
export class StateError extends HoldfastError {}
/** No restore point can be restored truly: the message names each file and why. */
export class CheckpointCorrupted extends StateError {}
/** Reconciliation could not be done: bad evidence, a policy that refuses, a plan that no longer fits. */
export class ReconciliationError extends HoldfastError {}
/** A configuration that is not what it should be: `details.path` is the place in it. */
export class ConfigError extends HoldfastError {}
/** The broker refused, did not answer, or answered what cannot be understood. */
export class BrokerError extends HoldfastError {}
/** A strategy module that cannot be loaded, or a handler that failed. */
export class StrategyError extends HoldfastError {}
/** Market data that cannot be read: `details.path` and `details.line` say where. */
export class FeedError extends HoldfastError {}

/** What of an error crosses a thread. */
export interface WireError {
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly stack: string | null;
  readonly details: ErrorDetails;
  readonly retryable: boolean;
  readonly cause: WireError | null;
}

const classes: Readonly<Record<string, typeof HoldfastError>> = {
  StateError,
  CheckpointCorrupted,
  ReconciliationError,
  ConfigError,
  BrokerError,
  StrategyError,
  FeedError,
};

/** Turns anything thrown into plain data for another thread. */
export function encodeError(thrown: unknown): WireError {
  if (!(thrown instanceof Error)) return encodeError(new Error(String(thrown)));
  const known = thrown instanceof HoldfastError;
  const errno = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : 'UNEXPECTED';
  return {
    name: thrown.name,
    code: known ? thrown.code : errno,
    message: thrown.message,
    stack: thrown.stack ?? null,
    details: known ? thrown.details : {},
    retryable: known && thrown.retryable,
    cause: thrown.cause === undefined ? null : encodeError(thrown.cause),
  };
}

/** Rebuilds an error on this side of the thread, with its class, code and cause. */
export function decodeError(wire: WireError): HoldfastError {
  const Class = classes[wire.name] ?? HoldfastError;
  const cause = wire.cause === null ? undefined : decodeError(wire.cause);
  const error = new Class(wire.code, wire.message, { cause, details: wire.details, retryable: wire.retryable });
  if (wire.stack !== null) error.stack = wire.stack;
  return error;
}
