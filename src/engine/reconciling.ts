import type { ReconciliationPolicy, ReconciliationReport } from '../reconciliation/types.ts';
import type { Emitter } from '../state/emitter.ts';
import type { Alerter } from './alert.ts';
import type { EngineHalts } from './engine-halts.ts';
import type { LiveTradingEngineEvents } from './engine-options.ts';
import type { EngineSettings } from './engine-settings.ts';
import type { EventLoop } from './event-loop.ts';
import type { PhaseLine } from './phase-line.ts';
import { type RunResult, reconcile } from './reconciliation-run.ts';
import type { TradingCore } from './trading-core.ts';

export interface ReconcilingOptions {
  readonly core: TradingCore;
  readonly loop: EventLoop;
  readonly phase: PhaseLine;
  readonly halts: EngineHalts;
  readonly settings: EngineSettings;
  readonly alert: Alerter;
  readonly emitter: Emitter<LiveTradingEngineEvents>;
  readonly signal: AbortSignal;
}

/** Comparisons with the broker, one at a time, and the halt that one may ask for. */
export class Reconciling {
  readonly #options: ReconcilingOptions;
  #running: Promise<RunResult> | null = null;

  constructor(options: ReconcilingOptions) {
    this.#options = options;
  }

  /** Whoever asks while one runs gets its result. Null without a reconciler. */
  async run(trigger: ReconciliationReport['trigger']): Promise<RunResult | null> {
    const { settings, halts } = this.#options;
    const { reconciler, policy } = settings;
    if (reconciler === undefined) return null;
    this.#running ??= this.#reconcile(reconciler, trigger, policy).finally(() => {
      this.#running = null;
    });
    const result = await this.#running;
    if (result.halt !== null && !halts.isHalted) halts.all(result.halt, 'reconciliation');
    return result;
  }

  /** Compares and plans as `policy` would have it, and changes nothing. Null without a reconciler. */
  async dryRun(policy: ReconciliationPolicy): Promise<ReconciliationReport | null> {
    const { reconciler, state } = this.#options.settings;
    if (reconciler === undefined) return null;
    return reconciler.reconcile({ trigger: 'on_demand', sequence: state.sequence, policy });
  }

  onInterval(): void {
    const { signal, alert } = this.#options;
    this.run('interval').catch((error: unknown) => {
      if (signal.aborted) return;
      alert('warn', 'RECONCILIATION_FAILED', 'reconciliation failed; it is tried again at the next interval', {
        error,
      });
    });
  }

  #reconcile(
    reconciler: NonNullable<EngineSettings['reconciler']>,
    trigger: ReconciliationReport['trigger'],
    policy: ReconciliationPolicy,
  ): Promise<RunResult> {
    const { core, loop, phase, settings, alert, emitter, signal } = this.#options;
    const { state, after, logger } = settings;
    return reconcile(
      {
        core,
        state,
        reconciler,
        policy,
        settleMs: settings.broker.capabilities.settleMs,
        after,
        signal,
        logger,
        alert,
        inTurn: (work) => loop.inTurn(work),
        reported: (report, round) => {
          emitter.emit('report', report);
          if (phase.is('reconciling')) phase.enter({ kind: 'reconciling', round: round + 1 });
        },
      },
      trigger,
    );
  }
}
