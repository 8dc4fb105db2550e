import { describe, expect, it } from 'vitest';
import { countsLine, Explorer } from '../support/crash-explorer.ts';
import { CrashRig } from '../support/crash-rig.ts';

describe('thin', () => {
  it('one checkpoint, one group', async () => {
    const explorer = new Explorer();
    const rig = await CrashRig.start(explorer, 'thin');
    rig.commit(['alpha']);
    await rig.checkpoint();
    rig.commit(['alpha']);
    rig.finish();
    process.stdout.write(`${countsLine(explorer.counts, explorer.bad.length)}\n`);
    expect(explorer.bad.slice(0, 2)).toEqual([]);
  });
});
