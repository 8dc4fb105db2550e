import { StateManager } from '../../src/state/state-manager.ts';

// Exits in the middle of a turn, with a handler of its own that runs after the state's and commits once more.

const [directory = '', how = 'exit'] = process.argv.slice(2);
const state = await StateManager.open({ directory, force: true, checkpointIntervalMs: 0, lastWordsMs: 60_000 });
const book = state.register('alpha');
process.on('exit', () => {
  for (const key of ['late', 'later']) {
    book.set(key, true);
    state.commit();
  }
  book.set('staged', true);
});
book.set('early', true);
state.commit();
if (how === 'throw') throw new Error('uncaught');
process.exit(3);
