import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { afterEach, describe, expect, it } from 'vitest';
import { threadUrl } from '../../src/actor/thread-url.ts';
import { decodeError } from '../../src/model/errors.ts';
import type { ReconciliationAnswer, ReconciliationTask } from '../../src/reconciliation/task.ts';
import reconcile from '../../workers/reconciliation.ts';
import { at, held, position } from '../reconciliation/scene.ts';
import { sendBooks, strategy } from './books.ts';
import type { ModuleBrokerOptions } from './fixtures/module-broker.ts';

const ports: MessagePort[] = [];
afterEach(() => {
  for (const port of ports.splice(0)) port.close();
});

function channel(): { near: MessagePort; far: MessagePort } {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1);
  return { near: port1, far: port2 };
}

function task(
  port: MessagePort,
  broker: ModuleBrokerOptions,
  changes: Partial<ReconciliationTask> = {},
): ReconciliationTask {
  return {
    broker: { module: './fixtures/module-broker.ts', options: broker as Readonly<Record<string, unknown>> },
    baseUrl: import.meta.url,
    port,
    policy: 'SYNC_TO_BROKER',
    options: { confirmDelayMs: 1, settleMs: 0 },
    trigger: 'start',
    reportId: 'r-1',
    sequence: 7,
    requestedAt: at(30),
    deadlineMs: 10_000,
    ...changes,
  };
}

const aapl = strategy('momentum', [held('AAPL', '10')]);

async function reportOf(broker: ModuleBrokerOptions, changes: Partial<ReconciliationTask> = {}) {
  const { near, far } = channel();
  sendBooks(near, 7, aapl);
  const answer = await reconcile(task(far, broker, changes));
  if (!answer.ok) throw decodeError(answer.error);
  return answer.report;
}

describe('the reconciliation task', () => {
  it('runs on a pool thread with its books from a port, and answers in plain data', async () => {
    const pool = new Piscina<ReconciliationTask, ReconciliationAnswer>({
      filename: threadUrl('reconciliation').href,
      maxThreads: 1,
      atomics: 'disabled',
      env: {},
    });
    try {
      const { near, far } = channel();
      type List = NonNullable<Parameters<typeof pool.run>[1]>['transferList'] & {};
      const now = { positions: [position('AAPL', '7')] };
      const answered = pool.run(task(far, { now }), { transferList: [far] as List });
      sendBooks(near, 9, aapl, strategy('reversion', [held('MSFT', '1')]));
      const answer = await answered;
      expect(answer).toMatchObject({
        ok: true,
        report: {
          report_id: 'r-1',
          sequence: 9,
          outcome: 'inconclusive',
          discrepancies: [{ subject: 'MSFT' }, { subject: 'AAPL', difference: '-3' }],
        },
      });
    } finally {
      await pool.destroy();
    }
  });

  it('plans from books and broker', async () => {
    const report = await reportOf({ now: { positions: [position('AAPL', '7')] } });
    expect(report).toMatchObject({
      outcome: 'discrepancies',
      plan: { sequence: 7, actions: [{ kind: 'set_position', strategy: 'momentum', before: '10', after: '7' }] },
    });
  });

  it('closes its port', async () => {
    const { near, far } = channel();
    const closed = new Promise((resolve) => near.once('close', resolve));
    sendBooks(near, 7, aapl);
    await reconcile(task(far, {}));
    await closed;
  });

  it.each([
    [{ positions: 'reject' }, 'the broker is down for maintenance'],
    [{ create: 'reject' }, 'the broker refused the key'],
    [{ positions: 'hang' }, "the deadline of 300 ms passed while waiting for the broker's answer on positions"],
  ] as const)('is inconclusive when the broker fails: %o', async (broker, why) => {
    const report = await reportOf(broker, { deadlineMs: 300 });
    expect(report).toMatchObject({
      report_id: 'r-1',
      outcome: 'inconclusive',
      sequence: 7,
      plan: { actions: [], halt: null },
    });
    expect(report.why_inconclusive).toContain(why);
  });

  it('halts a start that must halt when the broker fails', async () => {
    const report = await reportOf({ positions: 'reject' }, { policy: 'HALT_AND_ALERT' });
    expect(report.plan.halt).toContain('the broker is down');
  });

  it('says so, and with a warning, when a broker does not even close', async () => {
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    const report = await reportOf({ now: { positions: [position('AAPL', '10')] }, close: 'hang' });
    expect(report.outcome).toBe('ok');
    expect((await warned).message).toContain('the broker adapter to close');
  });

  it('gives a mistake in a broker module back as an error', async () => {
    await expect(reportOf({ create: 'fail' })).rejects.toMatchObject({
      name: 'ConfigError',
      code: 'BROKER_MODULE_FAILED',
    });
    const broker = { module: './fixtures/no-such-broker.ts' };
    await expect(reportOf({}, { broker })).rejects.toMatchObject({ code: 'BROKER_MODULE_NOT_FOUND' });
  });
});

describe('books that do not come', () => {
  const why = async (feed: (near: MessagePort) => void, deadlineMs = 5000) => {
    const { near, far } = channel();
    const answered = reconcile(task(far, {}, { deadlineMs }));
    feed(near);
    const answer = await answered;
    return answer.ok ? answer.report.why_inconclusive : decodeError(answer.error);
  };

  it('because the other end closes make the run inconclusive', async () => {
    expect(
      await why((near) => {
        near.postMessage({ kind: 'strategy', snapshot: JSON.stringify(aapl) });
        near.close();
      }),
    ).toContain('closed it before the end');
  });

  it('in time, or of a sequence too old, too', async () => {
    expect(await why(() => {}, 50)).toContain('the deadline of 50 ms passed while waiting for the books');
    expect(await why((near) => sendBooks(near, 6, aapl))).toContain('it is of 6, expected at least 7');
  });

  it('whole are an error of ours', async () => {
    const broken = await why((near) => near.postMessage({ kind: 'strategy', snapshot: '{"strategy_name": "mom' }));
    expect(broken).toMatchObject({ message: expect.stringContaining('JSON') });
  });
});
