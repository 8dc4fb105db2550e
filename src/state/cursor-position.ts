import type { Timestamp } from '../model/time.ts';

/** How far the broker's activities are booked, without the execution ids. */
export interface CursorPosition {
  readonly activity_id: string | null;
  readonly at: Timestamp | null;
}

export const cursorStart: CursorPosition = Object.freeze({ activity_id: null, at: null });
