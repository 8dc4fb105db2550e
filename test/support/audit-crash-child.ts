import { StateManager } from '../../src/state/state-manager.ts';

/*
 * A process that lives to be killed while its audit is at work: two strategies, each commit with an event of its own in each. It goes on
 * from what it restored, and says which number is durable.
 */

const [directory] = process.argv.slice(2);
const state = await StateManager.open({
  directory: directory as string,
  force: true,
  logger: { info: () => {}, warn: () => {}, error: () => {} },
  checkpointIntervalMs: 20,
  generations: 2,
  audit: { everyMs: 3 },
});
const alpha = state.register('alpha');
const beta = state.register('beta');
let number = Number(alpha.get('number') ?? 0);
process.stdout.write(`restored ${number}\n`);

const numbers = new Map<number, number>();
state.on('durable', (sequence) => {
  let newest = 0;
  for (const [committed, value] of numbers) {
    if (committed > sequence) break;
    newest = value;
    numbers.delete(committed);
  }
  if (newest > 0) process.stdout.write(`durable ${newest}\n`);
});
state.on('audit', ({ kind, message }) => process.stdout.write(`audit ${kind} ${message}\n`));

for (;;) {
  for (let i = 0; i < 5; i += 1) {
    number += 1;
    for (const book of [alpha, beta]) {
      book.set('number', number);
      book.addEvent({ kind: 'note', name: book.name, data: number, at: '2025-10-02T14:30:00.000000Z' });
      book.setPosition({ asset: 'AAPL', amount: String(number), cost_basis: '1', last_price: null });
    }
    numbers.set(state.commit(), number);
  }
  await new Promise((resolve) => setImmediate(resolve));
}
