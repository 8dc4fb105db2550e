import type { Logger } from 'pino';
import type { LiveTradingEngineOptions } from '../engine/engine-options.ts';
import type { Feed } from '../engine/feed.ts';
import { Instruments } from '../engine/instrument.ts';
import { LiveTradingEngine } from '../engine/live-trading-engine.ts';
import type { PositionReconciler } from '../state/position-reconciler.ts';
import type { StateManager } from '../state/state-manager.ts';
import type { LoadedConfig } from './config.ts';
import { makeReconciler, openState } from './run-parts.ts';

export interface RunEngine {
  readonly state: StateManager;
  readonly reconciler: PositionReconciler;
  readonly engine: LiveTradingEngine;
}

/** Opens the state and puts the engine together. Where either cannot be done nothing stays open that would keep the process alive. */
export async function makeEngine(
  loaded: LoadedConfig,
  logger: Logger,
  parts: Pick<LiveTradingEngineOptions, 'broker' | 'onAlert'> & { readonly feed: Feed },
): Promise<RunEngine> {
  const { config } = loaded;
  let state: StateManager | null = null;
  try {
    state = await openState(loaded, logger);
    const reconciler = makeReconciler(loaded, state);
    const engine = new LiveTradingEngine({
      ...parts,
      state,
      reconciler,
      policy: config.reconciliation.policy,
      gate: config.gate,
      reconcileIntervalMs: config.reconciliation.interval_ms,
      stopDeadlineMs: config.shutdown_deadline_ms,
      host: config.host,
      instruments: new Instruments(config.currency, config.instruments),
      logger,
    });
    return { state, reconciler, engine };
  } catch (error) {
    await parts.broker.close();
    await state?.close({ checkpoint: false, deadlineMs: config.shutdown_deadline_ms });
    throw error;
  }
}
