import type { Scratch } from './scratch.ts';
import { type Spread, spreadOf } from './stats.ts';

/** One figure that is promised, beside what it came out as. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly value: Spread;
  /** Null where nothing is promised, and the figure is only told. */
  readonly target: number | null;
  readonly sense: 'at most' | 'at least';
  readonly met: boolean | null;
  /** What it was measured on, or what else to know. */
  readonly how: string;
}

export interface FigureGiven {
  readonly name: string;
  /** Empty for a ratio. */
  readonly unit?: string;
  /** One of each round. */
  readonly values: readonly number[];
  readonly atMost?: number;
  readonly atLeast?: number;
  /** Enough instead of the target. */
  readonly or?: { readonly met: boolean; readonly text: string };
  readonly how: string;
}

export function figure({ name, unit = '×', values, atMost, atLeast, or, how }: FigureGiven): Figure {
  const value = spreadOf(values);
  const sense = atLeast === undefined ? 'at most' : 'at least';
  const target = atLeast ?? atMost ?? null;
  const reached = target !== null && (sense === 'at least' ? value.median >= target : value.median <= target);
  return {
    name,
    unit,
    value,
    target,
    sense,
    met: target === null ? null : reached || or?.met === true,
    how: or === undefined ? how : `${how}; or ${or.text}`,
  };
}

/** What a group of figures has to work with. */
export interface Bench {
  readonly scratch: Scratch;
  /** Shorter, with fewer rounds: to see that it works, not to compare. */
  readonly quick: boolean;
}

/** A group of figures: its word for --only, and what measures it. */
export interface FigureGroup {
  readonly key: string;
  readonly what: string;
  measure(bench: Bench): Promise<readonly Figure[]>;
}
