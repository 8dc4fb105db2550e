import { StateError } from '../../src/model/errors.ts';
import { onShutdownSignals } from '../../src/state/shutdown-signals.ts';
import { StateManager } from '../../src/state/state-manager.ts';

/*
 * A process that lives to be killed: two strategies that change together, each commit with a number of its own in both. It goes on
 * from what it restored, and says which number is durable.
 */

const [directory, mode] = process.argv.slice(2);
const state = await StateManager.open({
  directory: directory as string,
  force: true,
  logger: { info: () => {}, warn: () => {}, error: () => {} },
  checkpointIntervalMs: mode === 'trade' ? 20 : 0,
});
const alpha = state.register('alpha');
const beta = state.register('beta');
let number = Number(alpha.get('number') ?? 0);

function change(): number {
  number += 1;
  alpha.set('number', number);
  beta.set('number', number);
  beta.addEvent({ kind: 'note', name: 'number', data: number, at: '2025-10-02T14:30:00Z' });
  if (number % 3 === 0) beta.removePosition('AAPL');
  else beta.setPosition({ asset: 'AAPL', amount: String(number), cost_basis: '1', last_price: null });
  state.mark('AAPL', String(number));
  return state.commit();
}

const numbers = new Map<number, number>();
process.stdout.write(`restored ${number}\n`);

switch (mode) {
  case 'trade':
    state.on('durable', (sequence) => {
      let newest = 0;
      for (const [committed, value] of numbers) {
        if (committed > sequence) break;
        newest = value;
        numbers.delete(committed);
      }
      if (newest > 0) process.stdout.write(`durable ${newest}\n`);
    });
    for (;;) {
      for (let i = 0; i < 5; i += 1) numbers.set(change(), number);
      // Staged, and never committed: whatever happens, nobody may see it.
      alpha.set('number', -1);
      await new Promise((resolve) => setImmediate(resolve));
      state.rollback();
    }
  case 'throw':
    for (let i = 0; i < 1_000; i += 1) change();
    alpha.set('number', -1);
    throw new Error('a bug in the engine');
  case 'exit':
    for (let i = 0; i < 1_000; i += 1) change();
    process.exit(3);
    break;
  case 'signal':
    onShutdownSignals(() => state.close());
    change();
    process.stdout.write('ready\n');
    break;
  case 'stuck':
    onShutdownSignals(() => new Promise(() => {}), { deadlineMs: 50 });
    process.stdout.write('ready\n');
    break;
  case 'deadline':
    onShutdownSignals(() => Promise.reject(new StateError('SHUTDOWN_DEADLINE', 'the worker is in fsync')));
    process.stdout.write('ready\n');
    break;
  case 'fails':
    onShutdownSignals(() => Promise.reject(new Error('the disk is gone')));
    process.stdout.write('ready\n');
    break;
  case 'forgets':
    // Nothing is left to do, and the state is open: the process stays until it is closed.
    change();
    process.stdout.write('ready\n');
    setTimeout(() => void state.close().then(() => process.stdout.write('closed\n')), 100);
    break;
}
