import { Decimal, zero } from '../model/money.ts';
import type { PositionSnapshot } from '../model/position.ts';
import type { CheckpointReason } from '../persistence/protocol.ts';

export interface CheckpointScheduleOptions {
  /** 0 is off, as in the two that follow. */
  readonly intervalMs: number;
  readonly commits: number;
  readonly bytes: number;
  readonly notional: Decimal | null;
}

/** Says when a checkpoint is due: a pure account of what changed since the last one began. */
export class CheckpointSchedule {
  readonly #options: CheckpointScheduleOptions;
  #sequence = 0;
  #atMs: number;
  #notional: Decimal = zero;
  #bytes: number | null = null;

  constructor(options: CheckpointScheduleOptions, nowMs: number) {
    this.#options = options;
    this.#atMs = nowMs;
  }

  /** What the last checkpoint that began holds. */
  get sequence(): number {
    return this.#sequence;
  }

  get weighsPositions(): boolean {
    return this.#options.notional !== null;
  }

  get weighsBytes(): boolean {
    return this.#options.bytes > 0;
  }

  /** A committed change of a position, at the price last seen, or what it cost where none was. */
  addPosition(before: PositionSnapshot | undefined, now: PositionSnapshot | undefined): void {
    const change = new Decimal(now?.amount ?? 0).minus(before?.amount ?? 0).abs();
    if (change.isZero()) return;
    const price = now?.last_price ?? before?.last_price ?? now?.cost_basis ?? before?.cost_basis ?? 0;
    this.#notional = this.#notional.plus(change.times(price).abs());
  }

  /** A checkpoint begins that will hold everything up to `sequence`. */
  began(sequence: number, nowMs: number): void {
    this.#sequence = sequence;
    this.#atMs = nowMs;
    this.#notional = zero;
    this.#bytes = null;
  }

  /** Why a checkpoint is due now; null where none is. `bytesWritten` is all that the worker ever wrote, null where unknown. */
  due(sequence: number, hasNewMarks: boolean, bytesWritten: number | null, nowMs: number): CheckpointReason | null {
    const { intervalMs, commits, bytes, notional } = this.#options;
    const changed = sequence - this.#sequence;
    if (bytesWritten !== null) this.#bytes ??= bytesWritten;
    if (changed > 0) {
      if (commits > 0 && changed >= commits) return 'significant_change';
      if (notional !== null && this.#notional.gte(notional)) return 'significant_change';
      if (bytes > 0 && bytesWritten !== null && bytesWritten - (this.#bytes ?? bytesWritten) >= bytes) {
        return 'significant_change';
      }
    }
    const due = intervalMs > 0 && nowMs - this.#atMs >= intervalMs;
    return due && (changed > 0 || hasNewMarks) ? 'interval' : null;
  }
}
