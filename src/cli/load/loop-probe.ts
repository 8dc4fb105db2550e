/** How often an event is pretended to be due. */
const everyMs = 0.25;

/**
 * The delay of the event loop, as an event would feel it: one is due every quarter of a millisecond, and is late by the time until
 * the loop looks. A stall makes every event that was due in it late, so that it weighs what it lasts.
 */
export class LoopProbe {
  readonly #delays: { addMs(ms: number): void };
  #dueMs: number;

  constructor(delays: { addMs(ms: number): void }, nowMs: number) {
    this.#delays = delays;
    this.#dueMs = nowMs + everyMs;
  }

  /** To be called in every turn of the loop. */
  look(nowMs: number): void {
    for (; this.#dueMs <= nowMs; this.#dueMs += everyMs) this.#delays.addMs(nowMs - this.#dueMs);
  }
}
