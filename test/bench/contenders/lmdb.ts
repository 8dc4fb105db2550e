import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { open } from 'lmdb';
import type { PositionSnapshot } from '../../../src/model/position.ts';
import type { Contender } from '../contender.ts';

/** (e) lmdb, which writes on a thread of its own, awaiting `flushed`: a key for each position. */
export const lmdb: Contender = {
  key: 'e',
  name: 'lmdb, flushed',
  async start(directory, positions) {
    const database = open<PositionSnapshot, string>({ path: join(directory, 'state.lmdb') });
    const put = (changed: readonly PositionSnapshot[]): void => {
      for (const position of changed) void database.put(position.asset, position);
    };
    put(positions);
    await database.flushed;
    return {
      async commit(changed) {
        const beforeMs = performance.now();
        put(changed);
        const takenMs = performance.now() - beforeMs;
        await database.flushed;
        return takenMs;
      },
      async close() {
        await database.close();
      },
    };
  },
};
