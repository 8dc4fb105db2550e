import { StateError } from '../model/errors.ts';

/*
 * How much state there may be. A journal record is one delta and has at most 256 MiB, so nothing may be committed that no record can
 * hold: what is too large is refused where it is set, while the earlier state stands.
 *
 * L1  A post holds at most postBytesMax of what was committed: a commit that would come on top of too much cuts the post before itself.
 * L2  One commit stages at most postBytesMax, so that a post can always hold it.
 * L3  The state values of all strategies have a bound together, so that one post can also restate all of them.
 *
 * Bytes are those of JSON text in UTF-8, and never counted too low. On top come the names of the strategies that one commit changes, at
 * most 400 bytes for each, and last prices, at most 200 for each asset that is held: the rest of a record is room for 100,000 of both.
 */
export interface StateLimits {
  /** A state value larger than this is told of once. */
  readonly stateValueWarnBytes: number;
  /** A state value larger than this is refused. */
  readonly stateValueMaxBytes: number;
  /** The same for all state values of a strategy, keys included. */
  readonly strategyStateMaxBytes: number;
  /** The same for all strategies together. */
  readonly hostStateMaxBytes: number;
  /** An event larger than this is refused. */
  readonly eventMaxBytes: number;
  readonly postBytesMax: number;
  /** What restates every strategy at once, in one record. */
  readonly wholeBytesMax: number;
}

export const defaultStateLimits: StateLimits = {
  stateValueWarnBytes: 64 * 1024,
  stateValueMaxBytes: 16 * 2 ** 20,
  strategyStateMaxBytes: 64 * 2 ** 20,
  hostStateMaxBytes: 128 * 2 ** 20,
  eventMaxBytes: 2 ** 20,
  postBytesMax: 192 * 2 ** 20,
  wholeBytesMax: 240 * 2 ** 20,
};

/** @param scope whose state it is that has no more room: the message names it and the option that bounds it */
export function stateTooLarge(
  scope: 'strategy' | 'host',
  strategy: string,
  key: string,
  bytes: number,
  bytesMax: number,
): StateError {
  const [whose, option] =
    scope === 'strategy'
      ? ['the state of the strategy', 'strategyStateMaxBytes']
      : ['the state of all strategies together', 'hostStateMaxBytes'];
  return new StateError(
    'STATE_TOO_LARGE',
    `strategy "${strategy}", state key ${JSON.stringify(key)}: with it ${whose} would have ${bytes} bytes, and at most ${bytesMax} are kept (${option}); keep less under this or other keys. Nothing was changed`,
    { details: { strategy, key, scope, bytes, bytes_max: bytesMax } },
  );
}

/** @param what of the commit: "state key \"book\"" */
export function commitTooLarge(strategy: string, what: string, bytes: number, bytesMax: number): StateError {
  return new StateError(
    'STATE_TOO_LARGE',
    `strategy "${strategy}", ${what}: with it this commit would have ${bytes} bytes, and one commit has at most ${bytesMax}; commit in between, or change less at once. It was not changed`,
    { details: { strategy, scope: 'commit', bytes, bytes_max: bytesMax } },
  );
}

export function wholeTooLarge(bytes: number, bytesMax: number): StateError {
  return new StateError(
    'STATE_TOO_LARGE',
    `all strategies together have ${bytes} bytes, and at most ${bytesMax} can be restated at once; restart the process, which restores them one by one, and keep less state`,
    { details: { scope: 'whole', bytes, bytes_max: bytesMax } },
  );
}

export function eventTooLarge(strategy: string, kind: string, bytes: number, bytesMax: number): StateError {
  return new StateError(
    'EVENT_TOO_LARGE',
    `strategy "${strategy}", event ${kind}: it has ${bytes} bytes or more, and at most ${bytesMax} are kept in one event (eventMaxBytes); keep what is long elsewhere and its name here. Nothing was changed`,
    { details: { strategy, kind, bytes, bytes_max: bytesMax } },
  );
}
