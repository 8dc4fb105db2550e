import { StateError } from './errors.ts';

/** What the encoder and the decoder of state values agree on. */

/** How deep a value may nest. Also keeps it far from where structured clone and JSON readers run out of stack. */
export const stateValueDepthMax = 256;

/** Whose value it is, for messages. */
export interface StateValuePlace {
  readonly strategy: string;
  readonly key: string;
}

/** The key that marks an object as a tagged value. */
export const tagKey = '$holdfast';

export type NumberArray =
  | Int8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;
export type BigIntArray = BigInt64Array | BigUint64Array;

interface ListClass<Item, List> {
  readonly name: string;
  readonly prototype: object;
  from(items: ArrayLike<Item>): List;
}

/** Binary lists that are written as lists of numbers, or of integers as text. */
export const numberArrays: ReadonlyMap<string, ListClass<number, NumberArray>> = byName<number, NumberArray>([
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
]);
export const bigIntArrays: ReadonlyMap<string, ListClass<bigint, BigIntArray>> = byName<bigint, BigIntArray>([
  BigInt64Array,
  BigUint64Array,
]);

function byName<Item, List>(classes: readonly ListClass<Item, List>[]): Map<string, ListClass<Item, List>> {
  return new Map(classes.map((Class) => [Class.name, Class]));
}

/** One step of a path: a key or an index. */
export type Step = string | number;

export function invalidStateValue(
  where: StateValuePlace | null,
  steps: readonly Step[],
  why: string,
  cause?: unknown,
): StateError {
  const path = pathOf(steps);
  const whose = where === null ? 'state value' : `strategy ${where.strategy}, state key ${JSON.stringify(where.key)}`;
  return new StateError('STATE_VALUE_INVALID', `${whose}, at ${path}: ${why}`, { cause, details: { ...where, path } });
}

/** "$.a[3].b": at most about a thousand characters of it, from its beginning and its end. */
export function pathOf(steps: readonly Step[]): string {
  const path = `$${steps.map(pathStep).join('')}`;
  return path.length <= 1_000 ? path : `${path.slice(0, 500)}…${path.slice(-500)}`;
}

function pathStep(step: Step): string {
  if (typeof step === 'number') return `[${step}]`;
  return /^[A-Za-z_$][\w$]*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
}
