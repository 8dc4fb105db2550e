/** How requests are read: each problem is a refusal that names the field. */
import { z } from 'zod';
import type { BrokerError } from '../../model/errors.ts';
import { micros } from '../../model/time.ts';
import { refuse } from './refusals.ts';

/** The real one takes numbers as well as strings; whole ones are taken here, others have been floats already. */
export const numeric: z.ZodType<string> = z.union([z.string(), z.int().transform(String)]);

/** @throws BrokerError BROKER_REJECTED naming the first field that is not as it should be */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw invalid(`${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'invalid'}`);
}

export function invalid(message: string): BrokerError {
  return refuse('invalid_request', message);
}

/** Microseconds of "2025-10-02" or of a full time. */
export function instant(text: string, name: string): number {
  try {
    return micros(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text);
  } catch {
    throw invalid(`invalid ${name}`);
  }
}
