import { describe, expect, it } from 'vitest';
import type { SegmentInfo } from '../../src/persistence/journal-writer.ts';
import { ServiceRetention } from '../../src/persistence/service-retention.ts';

/** Closed segments that end at these sequences, 100 bytes each, and an open one. */
function retention(options: {
  readonly lasts: readonly number[];
  readonly coverage: Readonly<Record<string, readonly number[]>>;
  readonly journalBytesMax?: number;
  readonly audited?: number;
}): { readonly retention: ServiceRetention; readonly trimmed: number[] } {
  const trimmed: number[] = [];
  const segments: SegmentInfo[] = [...options.lasts, 9999].map((last, index) => ({
    file: `journal/${index}`,
    segment: index,
    epoch: 1,
    first: 0,
    last,
    bytes: 100,
  }));
  return {
    trimmed,
    retention: new ServiceRetention({
      journal: {
        segments: () => segments,
        trim: (covered) => {
          trimmed.push(covered);
          return [];
        },
      },
      strategies: () => ['a', 'b'],
      journalBytesMax: options.journalBytesMax ?? 100,
      generations: 3,
      coverage: new Map(Object.entries(options.coverage)),
      ...(options.audited === undefined ? {} : { auditedThrough: () => options.audited ?? 0 }),
    }),
  };
}

describe('retention', () => {
  it('trims through what two generations of every strategy hold', () => {
    const { retention: kept, trimmed } = retention({ lasts: [10], coverage: { a: [40, 30], b: [25] } });
    kept.trim();
    kept.add([{ strategy: 'b', sequence: 50 }]);
    kept.trim();
    kept.add([
      { strategy: 'a', sequence: 60 },
      { strategy: 'b', sequence: 61 },
    ]);
    kept.trim();
    expect(trimmed).toEqual([-1, 25, 40]);
  });

  it('counts a checkpoint that was written again at the same sequence once', () => {
    const { retention: kept, trimmed } = retention({ lasts: [10], coverage: { a: [40, 30], b: [40, 30] } });
    kept.add([{ strategy: 'a', sequence: 40 }]);
    kept.trim();
    expect(trimmed).toEqual([30]);
  });

  it('names nobody while the journal is within its bound', () => {
    const { retention: kept } = retention({ lasts: [10, 20], coverage: {}, journalBytesMax: 300 });
    expect(kept.holdingBack()).toEqual([]);
  });

  it('names those without whom the oldest segments beyond the bound cannot go', () => {
    const { retention: kept } = retention({
      lasts: [10, 20, 30],
      coverage: { a: [35, 20], b: [35, 15] },
      journalBytesMax: 200,
    });
    // Two of four segments have to go, the second ends at 20.
    expect(kept.holdingBack()).toEqual(['b']);
    kept.add([{ strategy: 'b', sequence: 40 }]);
    expect(kept.holdingBack()).toEqual([]);
  });

  it('names nobody for the open segment alone, whatever the bound', () => {
    const { retention: kept } = retention({ lasts: [], coverage: {}, journalBytesMax: 0 });
    expect(kept.holdingBack()).toEqual([]);
  });

  it('waits for the audit while the journal is within its bound', () => {
    const covered = { a: [40, 30], b: [40, 30] };
    for (const [audited, through] of [
      [-1, -1],
      [15, 15],
      [99, 30],
    ] as const) {
      const { retention: kept, trimmed } = retention({
        lasts: [10, 20],
        coverage: covered,
        journalBytesMax: 300,
        audited,
      });
      expect(kept.outrunsAudit).toBe(false);
      kept.trim();
      expect(trimmed).toEqual([through]);
    }
  });

  it('does not wait for the audit beyond the bound, and for no more than has to go', () => {
    const { retention: kept, trimmed } = retention({
      lasts: [10, 20, 30],
      coverage: { a: [40, 35], b: [40, 35] },
      journalBytesMax: 200,
      audited: 5,
    });
    expect(kept.outrunsAudit).toBe(true);
    kept.trim();
    expect(trimmed).toEqual([20]);
  });

  it('never gives up for the bound what a restore needs', () => {
    const { retention: kept, trimmed } = retention({
      lasts: [10, 20, 30],
      coverage: { a: [40, 15], b: [40, 35] },
      journalBytesMax: 200,
      audited: -1,
    });
    kept.trim();
    expect(trimmed).toEqual([15]);
  });
});
