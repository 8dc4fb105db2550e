import { setImmediate as turn } from 'node:timers/promises';
import { type LoadReport, percent } from '../../../src/cli/load/report.ts';
import { PositionReconciler } from '../../../src/state/position-reconciler.ts';
import type { StateManager } from '../../../src/state/state-manager.ts';
import { type Figure, type FigureGroup, figure } from '../figure.ts';
import { type LoadGiven, loadOnce, note } from '../scratch.ts';

/** The event loop with persistence against the same load without, in pairs of slices that take turns. */
export const eventLoop: FigureGroup = {
  key: 'loop',
  what: 'delay of the event loop, with persistence and without',
  async measure({ scratch, quick }) {
    const durationMs = quick ? 2500 : 50_000;
    const figures: Figure[] = [];
    let reconciliations = 0;
    const reconciled = (): void => {
      reconciliations += 1;
    };
    const beside = (state: StateManager, signal: AbortSignal): Promise<void> => reconciling(state, signal, reconciled);
    const scenes: Readonly<Record<string, Omit<LoadGiven, 'directory'>>> = {
      '10 strategies × 100 positions': {},
      'checkpoints of 100 strategies × 1,000 positions': { strategies: 100, positions: 1000 },
      'the same, reconciling without a pause': { strategies: 100, positions: 1000, beside },
    };
    for (const [scene, given] of Object.entries(scenes)) {
      note(`  ${scene}`);
      const directory = scratch.directory('loop');
      const { run, report } = await loadOnce({ ...given, directory, durationMs, compares: true });
      const { pairs } = run.measures;
      const besides = given.beside === undefined ? '' : ` (${reconciliations} runs of five reads, a second apart)`;
      const how = `10,000 commits/s, ${scene}${besides}, ${pairs.length} pairs of ${durationMs / pairs.length / 1000} s, baseline over baseline ${report.ratios.event_loop_spread}, the thread without a processor for ${percent(report.processor_wait_share)} of the time and for ${percent(report.processor_wait_baseline_share)} without persistence`;
      figures.push(
        figure({
          name: `loop delay p99 over baseline: ${scene}`,
          values: pairs.map(({ loop, baseline }) => loop.p99 / baseline.p99),
          atMost: 1.1,
          or: orDifference(report, 'event_loop_p99'),
          how,
        }),
        figure({
          name: `loop delay p99.9 over baseline: ${scene}`,
          values: pairs.map(({ loop, baseline }) => loop.p999 / baseline.p999),
          atMost: 1.3,
          or: orDifference(report, 'event_loop_p999'),
          how,
        }),
      );
    }
    return figures;
  },
};

function orDifference(report: LoadReport, of: keyof LoadReport['differences_ms']): { met: boolean; text: string } {
  const more = report.differences_ms[of] ?? Number.NaN;
  return { met: more <= 0.2, text: `0.2 ms more (median ${more} ms)` };
}

/** Runs one reconciliation after the other until it is told to stop. */
async function reconciling(state: StateManager, signal: AbortSignal, done: () => void): Promise<void> {
  const reconciler = new PositionReconciler({
    broker: { module: new URL('../flat-broker.ts', import.meta.url).href, options: {} },
    policy: 'WARN_ONLY',
    requestSnapshot: (sequence, port) => state.sendSnapshot(sequence, port),
  });
  try {
    while (!signal.aborted) {
      await reconciler.reconcile({ trigger: 'interval', sequence: state.sequence });
      done();
      await turn();
    }
  } finally {
    await reconciler.close();
  }
}
