import { performance } from 'node:perf_hooks';
import { z } from 'zod';
import { StateError } from './errors.ts';

/** An instant in UTC as ISO 8601 with microseconds: "2025-10-02T14:30:00.123456Z". This form sorts as text. */
export type Timestamp = string;

/** Where time comes from, so that tests can set it. Wall time may jump; monotonic time may not. */
export interface Clock {
  /** Microseconds since 1970-01-01T00:00:00Z, as an integer. */
  nowMicros(): number;
  /** Milliseconds since some fixed moment, never going back: for ages and deadlines. */
  monotonicMs(): number;
}

// Date.now() knows only whole milliseconds; performance.now() is finer but does not follow the wall clock when that is set.
// So the fine clock is used with an offset, and the offset is taken anew when the two disagree by more than a tick.
let offsetMs = performance.timeOrigin;

export const systemClock: Clock = {
  nowMicros() {
    const fineMs = performance.now();
    const wallMs = Date.now();
    if (Math.abs(offsetMs + fineMs - wallMs) > 2) offsetMs = wallMs - fineMs;
    return Math.floor((offsetMs + fineMs) * 1000);
  },
  monotonicMs: () => performance.now(),
};

/** Writes microseconds since the epoch in the one form that Holdfast writes. */
export function timestamp(micros: number): Timestamp {
  const second = Math.floor(micros / 1e6);
  if (second !== lastSecond) {
    lastSecondText = new Date(second * 1000).toISOString().slice(0, -4);
    lastSecond = second;
  }
  return `${lastSecondText}${String(1e6 + micros - second * 1e6).slice(1)}Z`;
}

// Times are written one after the other, and mostly within a second: its text is made once.
let lastSecond = Number.NaN;
let lastSecondText = '';

const isoPattern = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})$/;

/**
 * Reads an ISO 8601 instant with a zone ("Z" or "+02:00") as microseconds since the epoch; digits beyond microseconds are cut.
 * @throws StateError TIMESTAMP_INVALID, also where the zone is missing: a time without a zone is not an instant
 */
export function micros(text: Timestamp): number {
  const quick = inSecondRead(text);
  if (quick !== null) return quick;
  const match = isoPattern.exec(text);
  const ms = match === null ? Number.NaN : Date.parse(`${match[1]}${match[3]}`);
  if (match === null || Number.isNaN(ms) || isNoDay(text)) {
    throw new StateError(
      'TIMESTAMP_INVALID',
      `expected an ISO 8601 time with a zone such as "2025-10-02T14:30:00.123456Z", got ${JSON.stringify(String(text).slice(0, 60))}`,
    );
  }
  if (match[3] === 'Z') {
    secondRead = `${match[1]}.`;
    secondReadMicros = ms * 1000;
  }
  return ms * 1000 + Number((match[2] ?? '').padEnd(6, '0').slice(0, 6));
}

// Events come one after the other, many in a second: of another time in the second that was read last only the fraction is read.
let secondRead = 'none';
let secondReadMicros = 0;

/** A time of our own form in the second that was read last, or null. */
function inSecondRead(text: Timestamp): number | null {
  if (typeof text !== 'string' || text.length !== 27 || text[26] !== 'Z' || !text.startsWith(secondRead)) return null;
  let fraction = 0;
  for (let at = 20; at < 26; at += 1) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return null;
    fraction = fraction * 10 + digit;
  }
  return secondReadMicros + fraction;
}

/** Date.parse() takes February 30 for March 2. */
function isNoDay(text: string): boolean {
  const day = Number(text.slice(8, 10));
  return day > 28 && new Date(`${text.slice(0, 10)}T00:00:00Z`).getUTCDate() !== day;
}

export function isTimestamp(value: unknown): value is Timestamp {
  try {
    micros(value as Timestamp);
    return typeof value === 'string';
  } catch {
    return false;
  }
}

export const timestampSchema: z.ZodType<Timestamp> = z.string().superRefine((text, context) => {
  try {
    micros(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
  }
});
