import type { DemoPlan } from './plan.ts';

/** The command line of the demo's paper broker. */
export function brokerArguments(plan: DemoPlan, seed: number): readonly string[] {
  const tapes = plan.tapes.flatMap(({ path, asset }) => ['--tape', asset === undefined ? path : `${asset}=${path}`]);
  const window = plan.tapes.length === 1 ? [] : ['--from', plan.from, '--to', plan.to];
  const speed = ['--speed', plan.speed.toFixed(3)];
  const cash = `${plan.cash}:${plan.currency}`;
  return ['paper-broker', ...tapes, ...window, ...speed, '--cash', cash, '--seed', String(seed), '--paused', '--json'];
}

/** The configuration of the demo's engine, as `holdfast run` takes it. */
export function engineConfig(plan: DemoPlan, url: string, stateDir: string): object {
  return {
    host: 'demo',
    state_dir: stateDir,
    // The demo kills processes and not the machine, which any file system outlives, memory too.
    force_file_system: true,
    currency: plan.currency,
    broker: { module: 'alpaca', options: { url, settleMs: 200 } },
    feed: { kind: 'stream', url },
    strategies: plan.strategies.map(({ name, module, options, cash }) => ({
      name,
      module,
      options,
      initial_cash: { [plan.currency]: cash },
    })),
    checkpoint: { interval_ms: 5000 },
    reconciliation: { policy: 'SYNC_TO_BROKER', interval_ms: 0 },
  };
}
