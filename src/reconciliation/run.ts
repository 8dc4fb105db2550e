import type { BrokerAdapter } from '../brokers/adapter.ts';
import { ReconciliationError } from '../model/errors.ts';
import type { BrokerCursor } from '../model/snapshot.ts';
import { type Clock, micros, type Timestamp, timestamp } from '../model/time.ts';
import { type BookSource, localBooks } from './books.ts';
import { compare } from './compare.ts';
import type { Deadline } from './deadline.ts';
import { canBeExplained, explain } from './explain.ts';
import { compareOptions, type ReconciliationOptions } from './options.ts';
import { plan } from './plan.ts';
import { needsConfirmation } from './policy.ts';
import { type Assessment, type AssessOptions, assess, isOlder } from './quality.ts';
import { type KnownActivities, knownActivities, readEvidence } from './read.ts';
import { readActivities } from './read-activities.ts';
import { buildReport, type ReportHead, reportWithoutEvidence } from './report.ts';
import type { BrokerEvidence, Discrepancy, LocalBooks, ReconciliationPolicy, ReconciliationReport } from './types.ts';

/** The books as they came from the persistence worker. */
export interface ReceivedBooks {
  readonly strategies: readonly (BookSource & { readonly broker_cursor: BrokerCursor })[];
  readonly sequence: number;
  readonly timestamp: Timestamp;
}

export interface RunOptions {
  readonly policy: ReconciliationPolicy;
  readonly options: ReconciliationOptions;
  readonly trigger: ReconciliationReport['trigger'];
  readonly reportId: string;
  /** Before the books' sequence was taken. */
  readonly requestedAt: Timestamp;
  readonly deadline: Deadline;
  readonly clock: Clock;
  /** Resolves after so many milliseconds. */
  readonly sleep: (ms: number) => Promise<void>;
}

/**
 * One run: read, compare, and where that finds differences read again until the evidence is good enough for the policy, at most
 * `readsMax` times and within the deadline. A broker that fails, and evidence that stays bad, give an `inconclusive` report.
 */
export async function runReconciliation(
  adapter: BrokerAdapter,
  received: ReceivedBooks,
  run: RunOptions,
): Promise<ReconciliationReport> {
  const startedMs = run.clock.monotonicMs();
  const head = (): ReportHead => ({
    report_id: run.reportId,
    at: timestamp(run.clock.nowMicros()),
    trigger: run.trigger,
    policy: run.policy,
    sequence: received.sequence,
    duration_ms: run.clock.monotonicMs() - startedMs,
  });
  const scene = prepare(adapter, received, run);
  try {
    const { broker, found: differences, assessment } = await evidenceFor(scene);
    const found = await explained(scene, differences);
    const { options } = run;
    const planned = plan(scene.local, broker, found, run.policy, {
      assessment,
      trigger: run.trigger,
      settleMs: scene.compared.settleMs,
      costBasisTolerance: scene.compared.costBasisTolerance,
      ...(options.owner === undefined ? {} : { owner: options.owner }),
      ...(options.policies === undefined ? {} : { policies: options.policies }),
    });
    return buildReport(head(), scene.local, broker, found, planned, assessment.ok ? null : assessment.why);
  } catch (error) {
    if (!(error instanceof ReconciliationError)) throw error;
    return reportWithoutEvidence(head(), error.message, run.options.policies);
  }
}

interface Scene {
  readonly adapter: BrokerAdapter;
  readonly run: RunOptions;
  readonly local: LocalBooks;
  readonly known: KnownActivities;
  readonly compared: AssessOptions;
}

function prepare(adapter: BrokerAdapter, received: ReceivedBooks, run: RunOptions): Scene {
  const settleMs = Math.max(adapter.capabilities.settleMs, run.options.settleMs ?? 1000);
  const inFlightSince = timestamp(micros(run.requestedAt) - settleMs * 1000);
  const local = localBooks(received.strategies, {
    sequence: received.sequence,
    timestamp: received.timestamp,
    currency: received.strategies[0]?.currency ?? run.options.currency ?? 'USD',
    ...(run.options.instruments === undefined ? {} : { instruments: run.options.instruments }),
  });
  const cursors = received.strategies.map(({ broker_cursor }) => broker_cursor);
  return {
    adapter,
    run,
    local,
    known: knownActivities(cursors, local, run.requestedAt),
    compared: { ...compareOptions(run.options, inFlightSince, run.trigger === 'start'), settleMs },
  };
}

/** Dividends, splits and the like name themselves where they are the difference. Read only where there is one. */
async function explained(
  { adapter, run, local }: Scene,
  found: readonly Discrepancy[],
): Promise<readonly Discrepancy[]> {
  if (!canBeExplained(found)) return found;
  const { activities, why } = await readActivities(adapter, run.requestedAt, run.deadline);
  if (why === null) return explain(found, activities, local.currency);
  return found.map((each) => (canBeExplained([each]) ? { ...each, message: `${each.message} (${why})` } : each));
}

interface Findings {
  readonly broker: BrokerEvidence;
  readonly found: readonly Discrepancy[];
  readonly assessment: Assessment;
}

async function evidenceFor({ adapter, run, local, known, compared }: Scene): Promise<Findings> {
  const { policy, options, deadline, clock } = run;
  const readsMax = options.readsMax ?? 5;
  const delayMs = options.confirmDelayMs ?? Math.min(2000, Math.max(250, compared.settleMs));
  let good: BrokerEvidence | null = null;
  let last: Findings | null = null;
  for (let reads = 1; ; reads += 1) {
    try {
      if (last !== null) await deadline.race('a read that confirms what was found', run.sleep(delayMs));
      const broker = await readEvidence(adapter, local, known, deadline, clock);
      const found = compare(local, broker, compared);
      const alone = assess(broker, null, local, compared);
      const assessment: Assessment = good === null || !alone.ok ? alone : assess(good, broker, local, compared);
      last = { broker, found, assessment };
      if (alone.ok && (good === null || !isOlder(good, broker))) good = broker;
    } catch (error) {
      if (last === null || !(error instanceof ReconciliationError)) throw error;
      return inconclusive(last, error.message);
    }
    const { found, assessment } = last;
    if (found.length === 0) return { ...last, assessment: { ok: true, confirmed: false } };
    const enough = !needsConfirmation(found, policy, options.policies);
    if (assessment.ok && (assessment.confirmed || enough)) return last;
    if (reads >= readsMax)
      return inconclusive(last, assessment.ok ? 'no second read could confirm it' : assessment.why);
  }
}

function inconclusive(last: Findings, why: string): Findings {
  return { ...last, assessment: { ok: false, why } };
}
