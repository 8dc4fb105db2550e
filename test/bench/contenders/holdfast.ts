import { performance } from 'node:perf_hooks';
import { StateManager } from '../../../src/state/state-manager.ts';
import type { Contender } from '../contender.ts';
import { logger } from '../scratch.ts';

/** Ours, as a program uses it: set, commit, await durable. The commit's post is part of what the thread was taken for. */
export const holdfast: Contender = {
  key: 'ours',
  name: 'holdfast',
  async start(directory, positions) {
    const state = await StateManager.open({ directory, logger, force: true });
    const book = state.register('bench');
    for (const position of positions) book.setPosition(position);
    await state.checkpoint();
    return {
      async commit(changed) {
        const takenMs = await new Promise<number>((resolve) => {
          let postMs = 0;
          // Immediates run in their order: this one, the post that commit() plans, and the one below.
          setImmediate(() => {
            postMs = performance.now();
          });
          const beforeMs = performance.now();
          for (const position of changed) book.setPosition(position);
          state.commit();
          const commitMs = performance.now() - beforeMs;
          setImmediate(() => resolve(commitMs + performance.now() - postMs));
        });
        await state.durable();
        return takenMs;
      },
      close: () => state.close({ checkpoint: false }),
    };
  },
};
