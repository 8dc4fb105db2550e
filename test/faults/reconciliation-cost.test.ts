import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { PositionReconciler } from '../../src/state/position-reconciler.ts';
import { StateManager } from '../../src/state/state-manager.ts';

// What a reconciliation costs the thread that asks for it: measured for few and for many positions, and printed. How fast a machine is
// decides nothing here; that nothing which grows with the state comes back does.

const runs = 2;
const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Cost {
  readonly busyMs: number;
  readonly idleMs: number;
  readonly runMs: number;
  readonly reportBytes: number;
}

async function costOf(count: number): Promise<Cost> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-reconcile-cost-'));
  closing.push(() => rmSync(directory, { recursive: true, force: true }));
  const state = await StateManager.open({ directory, logger: { info() {}, warn() {}, error() {} } });
  closing.push(() => state.close({ checkpoint: false }));
  const book = state.register('many');
  for (let index = 0; index < count; index += 1) {
    book.setPosition({ asset: `A${index}`, amount: '1', cost_basis: '10', last_price: '10', currency: 'USD' });
  }
  await state.durable(state.commit());
  const reconciler = new PositionReconciler({
    broker: { module: '../reconciliation/fixtures/counted-broker.ts', options: { count } },
    baseUrl: import.meta.url,
    policy: 'HALT_AND_ALERT',
    options: { settleMs: 0 },
    deadlineMs: 60_000,
    requestSnapshot: (sequence, port) => state.sendSnapshot(sequence, port),
  });
  closing.push(() => reconciler.close());
  const run = () => reconciler.reconcile({ trigger: 'interval', sequence: state.sequence });
  // The first one starts the thread.
  expect(await run()).toMatchObject({ outcome: 'ok', compared: { positions: count } });
  const before = performance.eventLoopUtilization();
  const began = performance.now();
  let reportBytes = 0;
  for (let each = 0; each < runs; each += 1) reportBytes = JSON.stringify(await run()).length;
  const tookMs = performance.now() - began;
  const busyMs = performance.eventLoopUtilization(before).active;
  const rest = performance.eventLoopUtilization();
  await sleep(tookMs);
  const idleMs = performance.eventLoopUtilization(rest).active;
  return { busyMs: busyMs / runs, idleMs: idleMs / runs, runMs: tookMs / runs, reportBytes };
}

describe('a reconciliation', () => {
  it('costs the engine’s thread nothing that grows with the state', async () => {
    // Once for nothing: what runs first pays for everything that is loaded and compiled.
    await costOf(1);
    const few = await costOf(10);
    const many = await costOf(10_000);
    const ms = (value: number): string => value.toFixed(2);
    process.stdout.write(
      `reconciling 10,000 positions: ${ms(many.runMs)} ms a run, engine thread busy ${ms(many.busyMs)} ms of it (${ms(many.idleMs)} ms in as long without); 10 positions: ${ms(few.runMs)} ms, busy ${ms(few.busyMs)} ms\n`,
    );
    expect(many.reportBytes).toBeLessThan(few.reportBytes + 100);
  });
});
