import { expect, it } from 'vitest';
import { sharedLayout, stages } from '../../src/persistence/protocol.ts';
import { SharedWords } from '../../src/state/shared-words.ts';

it('reads what the worker says, and waits for it no longer than it may', () => {
  const words = new SharedWords();
  const longs = new BigInt64Array(words.buffer);
  Atomics.store(longs, sharedLayout.durableSequence, 9_007_199_254_740_991n);
  Atomics.store(new Int32Array(words.buffer), sharedLayout.stage, stages.indexOf('fsync'));
  Atomics.store(longs, sharedLayout.stageSinceMicros, 1_759_415_400_000_000n);
  expect(words.durableSequence).toBe(Number.MAX_SAFE_INTEGER);
  expect(words.stage).toEqual({ stage: 'fsync', sinceMicros: 1_759_415_400_000_000 });
  Atomics.store(longs, sharedLayout.durableSequence, 4n);
  let nowMs = 0;
  const clock = (): number => {
    nowMs += 1;
    return nowMs;
  };
  expect(words.waitDurable(4, 0, clock)).toBe(true);
  expect(words.waitDurable(5, 3, clock)).toBe(false);
});
