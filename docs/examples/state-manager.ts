// The state manager under somebody else's engine: state that survives any crash, without the rest of Holdfast.
import { StateManager } from 'holdfast';

const state = await StateManager.open({ currency: 'USD', force: process.env['FORCE'] === '1' });
const book = state.register('my_strategy');
if (book.isNew) book.setCash('25000.00');

// One event: everything that it changed becomes one commit, or is taken back.
const starts = Number(book.get('starts') ?? 0) + 1;
book.set('starts', starts);
book.setPosition({ asset: 'AAPL', amount: `${starts}00`, cost_basis: '150.25', last_price: null });
const sequence = state.commit();

await state.durable(sequence); // From here no crash of worker, process or machine takes it back.
process.stdout.write(`start ${starts}: ${book.position('AAPL')?.amount} AAPL, cash ${book.cash()}\n`);
await state.close();
