import type { MessagePort } from 'node:worker_threads';
import type { BrokerAdapter } from '../src/brokers/adapter.ts';
import { loadBroker } from '../src/brokers/load.ts';
import { BrokerError, encodeError, ReconciliationError } from '../src/model/errors.ts';
import { systemClock, timestamp } from '../src/model/time.ts';
import type { SnapshotSlice } from '../src/persistence/protocol.ts';
import { Deadline } from '../src/reconciliation/deadline.ts';
import { reportWithoutEvidence } from '../src/reconciliation/report.ts';
import { type ReceivedBooks, runReconciliation } from '../src/reconciliation/run.ts';
import type { ReconciliationAnswer, ReconciliationTask } from '../src/reconciliation/task.ts';
import type { ReconciliationReport } from '../src/reconciliation/types.ts';

/**
 * One reconciliation, as a task of a pool thread: takes the books from `task.port`, reads the broker, and answers with a report
 * within `task.deadlineMs`. Never rejects for what can be expected: a broker or a snapshot that does not come gives an
 * `inconclusive` report, anything else an encoded error. The adapter lives for the run: the module stays loaded in the thread, and
 * a run in five minutes finds no connection that went stale meanwhile.
 */
export default async function reconcile(task: ReconciliationTask): Promise<ReconciliationAnswer> {
  const deadline = new Deadline(task.deadlineMs);
  let adapter: BrokerAdapter | null = null;
  try {
    const received = await deadline.race(
      'the books from the persistence worker',
      receiveBooks(task.port, task.sequence),
    );
    adapter = await deadline.race('the broker module', loadBroker(task.broker, task.baseUrl));
    return { ok: true, report: await runReconciliation(adapter, received, runOptions(task, deadline)) };
  } catch (error) {
    const expected = error instanceof ReconciliationError || error instanceof BrokerError;
    return expected
      ? { ok: true, report: without(task, deadline, error.message) }
      : { ok: false, error: encodeError(error) };
  } finally {
    task.port.close();
    await closed(adapter);
  }
}

function runOptions(task: ReconciliationTask, deadline: Deadline): Parameters<typeof runReconciliation>[2] {
  return {
    policy: task.policy,
    options: task.options,
    trigger: task.trigger,
    reportId: task.reportId,
    requestedAt: task.requestedAt,
    deadline,
    clock: systemClock,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  };
}

/** @throws ReconciliationError SNAPSHOT_INCOMPLETE when the other end closes before the last slice */
function receiveBooks(port: MessagePort, atLeast: number): Promise<ReceivedBooks> {
  return new Promise((resolve, reject) => {
    const strategies: ReceivedBooks['strategies'][number][] = [];
    port.on('message', (slice: SnapshotSlice) => {
      // Parsed one by one, between messages; what a listener throws would end the thread.
      try {
        if (slice.kind === 'strategy') strategies.push(JSON.parse(slice.snapshot));
        else if (slice.sequence < atLeast)
          reject(incomplete(`it is of ${slice.sequence}, expected at least ${atLeast}`));
        else resolve({ strategies, sequence: slice.sequence, timestamp: slice.timestamp });
      } catch (error) {
        reject(error);
      }
    });
    port.on('messageerror', () => reject(incomplete('a part of it could not be read')));
    port.on('close', () => reject(incomplete('the persistence worker closed it before the end')));
  });
}

function incomplete(why: string): ReconciliationError {
  return new ReconciliationError('SNAPSHOT_INCOMPLETE', `the snapshot of the books did not arrive: ${why}`, {
    retryable: true,
  });
}

function without(task: ReconciliationTask, deadline: Deadline, why: string): ReconciliationReport {
  const head = {
    report_id: task.reportId,
    at: timestamp(systemClock.nowMicros()),
    trigger: task.trigger,
    policy: task.policy,
    sequence: task.sequence,
    duration_ms: task.deadlineMs - deadline.leftMs,
  };
  return reportWithoutEvidence(head, why, task.options.policies);
}

/** A broker that does not even close must not hold the answer up: what it leaves open ends with the thread. */
async function closed(adapter: BrokerAdapter | null): Promise<void> {
  if (adapter === null) return;
  try {
    await new Deadline(500).race('the broker adapter to close', adapter.close());
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    process.emitWarning(`closing a broker adapter after a reconciliation failed: ${why}`, {
      code: 'HOLDFAST_BROKER_CLOSE',
    });
  }
}
