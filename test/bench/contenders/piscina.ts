import { performance } from 'node:perf_hooks';
import { Piscina } from 'piscina';
import { type Contender, WholeState } from '../contender.ts';

/** (f) A pool of one thread, with the whole state as each task's argument. */
export const piscina: Contender = {
  key: 'f',
  name: 'Piscina, full state a task',
  async start(directory, positions) {
    const whole = new WholeState(positions);
    const pool = new Piscina({
      filename: new URL('./piscina-task.ts', import.meta.url).href,
      minThreads: 1,
      maxThreads: 1,
      atomics: 'disabled',
    });
    await pool.run({ directory, state: whole.state });
    return {
      async commit(changed) {
        const beforeMs = performance.now();
        whole.replace(changed);
        const kept = pool.run({ directory, state: whole.state });
        const takenMs = performance.now() - beforeMs;
        await kept;
        return takenMs;
      },
      async close() {
        await pool.destroy();
      },
    };
  },
};
