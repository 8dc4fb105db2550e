import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StateManager } from '../../src/state/state-manager.ts';
import { order, position } from '../support/state-fixtures.ts';

const silent = { info: () => {}, warn: () => {}, error: () => {} };

export function openState(directory: string, options: { readonly currency?: string } = {}): Promise<StateManager> {
  return StateManager.open({ directory, force: true, logger: silent, checkpointIntervalMs: 0, ...options });
}

/** Two strategies of which one holds something, an order, and state of its own; two generations of checkpoints, and a commit after. */
export async function tradeSome(state: StateManager): Promise<void> {
  const alpha = state.register('alpha');
  const beta = state.register('beta');
  state.phase('trading');
  alpha.setPosition(position('AAPL', '100', { cost_basis: '150.25', last_price: '155.50' }));
  alpha.setPosition(position('MSFT', '0'));
  alpha.setOrder(order('o-1'));
  alpha.setCash('25000.00', state.currency);
  alpha.set('last_signal', 'buy');
  beta.setCash('10', 'EUR');
  await state.checkpoint();
  beta.setCash('1000', state.currency);
  await state.checkpoint();
  beta.set('note', 'after the checkpoint');
  state.commit();
  await state.durable();
}

/** A copy as a kill -9 would leave it, or as another process sees it. */
export function copyOf(directory: string, to: string): string {
  cpSync(directory, to, { recursive: true });
  chmodSync(to, 0o700);
  const holder = join(to, 'holder.json');
  // It names this process, which holds the original and not the copy.
  if (existsSync(holder))
    writeFileSync(holder, JSON.stringify({ ...JSON.parse(readFileSync(holder, 'utf8')), pid: 0 }));
  return to;
}

/** Changes one byte in the middle of a file. */
export function damage(path: string): void {
  const bytes = readFileSync(path);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 0x01;
  writeFileSync(path, bytes);
}

export function journalFiles(directory: string): readonly string[] {
  return readdirSync(join(directory, 'journal')).map((name) => join(directory, 'journal', name));
}

export function checkpointFiles(directory: string): readonly string[] {
  return readdirSync(directory)
    .filter((name) => name.includes('_checkpoint'))
    .map((name) => join(directory, name));
}
