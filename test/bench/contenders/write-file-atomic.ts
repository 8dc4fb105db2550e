import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import writeFileAtomic from 'write-file-atomic';
import { type Contender, WholeState } from '../contender.ts';

/** (b) The usual package for it, which awaits the file's fsync and makes none of the directory. */
export const atomicPackage: Contender = {
  key: 'b',
  name: 'write-file-atomic',
  async start(directory, positions) {
    const whole = new WholeState(positions);
    const path = join(directory, 'state.json');
    return {
      async commit(changed) {
        const beforeMs = performance.now();
        whole.replace(changed);
        const written = writeFileAtomic(path, JSON.stringify(whole.state));
        const takenMs = performance.now() - beforeMs;
        await written;
        return takenMs;
      },
      async close() {},
    };
  },
};
