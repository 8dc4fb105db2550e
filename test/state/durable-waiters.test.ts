import { expect, it } from 'vitest';
import { DurableWaiters } from '../../src/state/durable-waiters.ts';

it('settles those who wait in the order of their sequences, whenever they came', async () => {
  const waiters = new DurableWaiters();
  const settled: string[] = [];
  const wait = (name: string, sequence: number) =>
    waiters.add(sequence).then(
      () => settled.push(name),
      (error: Error) => settled.push(`${name} ${error.message}`),
    );
  const all = [wait('five', 5), wait('three', 3), wait('four', 4), wait('nine', 9)];
  waiters.resolve(2);
  expect(waiters.size).toBe(4);
  waiters.resolve(3);
  waiters.reject(4, new Error('EIO'));
  waiters.resolve(5);
  waiters.rejectAll(new Error('closed'));
  await Promise.all(all);
  expect(settled).toEqual(['three', 'four EIO', 'five', 'nine closed']);
  expect(waiters.size).toBe(0);
});
