import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Contender, WholeState } from '../contender.ts';
import { timed } from '../stats.ts';

/** (a) What most programs do: the whole state as JSON, written, fsynced and renamed where it stands, the directory included. */
export const stringifyMain: Contender = {
  key: 'a',
  name: 'stringify + fsync + rename',
  async start(directory, positions) {
    const whole = new WholeState(positions);
    return {
      async commit(changed) {
        return timed(() => {
          whole.replace(changed);
          replaceFile(directory, JSON.stringify(whole.state));
        });
      },
      async close() {},
    };
  },
};

/** The bare protocol, synchronously. */
export function replaceFile(directory: string, text: string): void {
  const temporary = join(directory, 'state.json.tmp');
  const file = openSync(temporary, 'w', 0o600);
  writeFileSync(file, text);
  fsyncSync(file);
  closeSync(file);
  renameSync(temporary, join(directory, 'state.json'));
  const folder = openSync(directory, 'r');
  fsyncSync(folder);
  closeSync(folder);
}
