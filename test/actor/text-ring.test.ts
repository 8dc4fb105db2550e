import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTextRing, TextRingReader, TextRingWriter } from '../../src/actor/text-ring.ts';

function ends(capacity: number): { readonly writer: TextRingWriter; readonly reader: TextRingReader } {
  const memory = createTextRing(capacity);
  return { writer: new TextRingWriter(memory), reader: new TextRingReader(memory) };
}

describe('a ring of texts', () => {
  it('gives back what was written, numbers and all, in order, around its end and beyond the overflow of its counters', () => {
    const write = fc.record({
      text: fc.string({ unit: 'grapheme', maxLength: 40 }),
      place: fc.double(),
      after: fc.double(),
    });
    fc.assert(
      fc.property(fc.array(fc.oneof(write, fc.constant('take' as const)), { maxLength: 200 }), (steps) => {
        const { writer, reader } = ends(1024);
        const held: { readonly text: string; readonly place: number; readonly after: number }[] = [];
        const take = (): void => {
          const expected = held.shift();
          expect(reader.hasNext).toBe(expected !== undefined);
          if (expected === undefined) return;
          const { place, after } = reader;
          expect({ text: reader.take(), place, after }).toEqual({ ...expected, text: expected.text.toWellFormed() });
        };
        for (const step of steps) {
          if (step === 'take') take();
          else if (writer.write(step.text, step.place, step.after)) held.push(step);
          // Less than half of it is in use: then there is room for any of these.
          else expect(held.length).toBeGreaterThan(2);
        }
        while (held.length > 0) take();
        expect(reader.hasNext).toBe(false);
      }),
    );
  });

  it('refuses what will never fit, and what does not fit now, and is as it was', () => {
    const { writer, reader } = ends(256);
    expect(writer.write('x'.repeat(100), 1, 0)).toBe(false);
    let written = 0;
    while (writer.write('abc', written + 1, 0)) written += 1;
    expect(written).toBeGreaterThan(4);
    for (let count = 1; count <= written; count += 1) {
      expect([reader.hasNext, reader.place, reader.take()]).toEqual([true, count, 'abc']);
    }
    expect(reader.hasNext).toBe(false);
    expect(writer.write('abc', 9, 0)).toBe(true);
  });

  it('has its reader woken once after each time that it went to sleep, and not where a text lies there', () => {
    const { writer, reader } = ends(256);
    expect(writer.write('a', 1, 0) && writer.claimWake()).toBe(true);
    expect(writer.write('b', 2, 0) && writer.claimWake()).toBe(false);
    expect(reader.sleep()).toBe(false);
    expect(writer.claimWake()).toBe(false);
    for (let count = 0; count < 2 && reader.hasNext; count += 1) reader.take();
    expect(reader.sleep()).toBe(true);
    reader.wake();
    expect(writer.claimWake()).toBe(false);
    expect(reader.sleep()).toBe(true);
    expect([writer.claimWake(), writer.claimWake()]).toEqual([true, false]);
  });

  it('loses no text between two threads, however they meet', async () => {
    const memory = createTextRing(4096);
    const writer = new TextRingWriter(memory);
    const thread = new Worker(new URL('fixtures/ring-reader.ts', import.meta.url), { workerData: memory });
    let wakes = 0;
    let taken = 0;
    thread.on('message', (count: number) => {
      taken = count;
    });
    try {
      await once(thread, 'online');
      const texts = 60_000;
      for (let count = 1; count <= texts; ) {
        if (writer.write(`text ${count}`, count, 0)) {
          count += 1;
          if (writer.claimWake()) {
            wakes += 1;
            thread.postMessage(null);
          }
          // Now and then the reader comes to its end, at another moment of its work each time.
          if (count % 61 === 0) await turn();
          if (count % 997 === 0) while (taken < count - 1) await turn();
        } else await turn();
      }
      while (taken < texts) await turn();
      expect(wakes).toBeGreaterThan(50);
    } finally {
      await thread.terminate();
    }
  });
});
