import type { MessagePort } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { StateError } from '../../src/model/errors.ts';
import {
  environmentNames,
  PositionReconciler,
  type PositionReconcilerOptions,
} from '../../src/state/position-reconciler.ts';
import { held, position } from '../reconciliation/scene.ts';
import { sendBooks, strategy } from '../workers/books.ts';
import type { ModuleBrokerOptions } from '../workers/fixtures/module-broker.ts';

const open: PositionReconciler[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

const aapl = strategy('momentum', [held('AAPL', '10')]);
const request = { trigger: 'on_demand', sequence: 7 } as const;

async function answering(sequence: number, port: MessagePort) {
  sendBooks(port, sequence, aapl);
  return { sequence };
}

function make(broker: ModuleBrokerOptions, changes: Partial<PositionReconcilerOptions> = {}): PositionReconciler {
  const reconciler = new PositionReconciler({
    broker: { module: '../workers/fixtures/module-broker.ts', options: broker as Readonly<Record<string, unknown>> },
    baseUrl: import.meta.url,
    policy: 'SYNC_TO_BROKER',
    options: { confirmDelayMs: 1, settleMs: 0 },
    requestSnapshot: answering,
    ...changes,
  });
  open.push(reconciler);
  return reconciler;
}

describe('PositionReconciler', () => {
  it('gives a report of books that went from thread to thread', async () => {
    const reconciler = make({ now: { positions: [position('AAPL', '7')] } });
    const report = await reconciler.reconcile(request);
    expect(report).toMatchObject({
      trigger: 'on_demand',
      policy: 'SYNC_TO_BROKER',
      sequence: 7,
      outcome: 'discrepancies',
      plan: { actions: [{ strategy: 'momentum', before: '10', after: '7' }] },
    });
  });

  it.each([
    ['policy', { policy: 'SYNC' }],
    ['policies', { options: { policies: { cahs: 'WARN_ONLY' } } }],
    ['policies.cash', { options: { policies: { cash: 'HALT' } } }],
    ['costBasisTolerance', { options: { costBasisTolerance: '-0.1' } }],
    ['cashTolerance.USD', { options: { cashTolerance: { USD: 5 } } }],
    ['readsMax', { options: { readsMax: 1 } }],
    ['settleMs', { options: { settleMs: Number.NaN } }],
  ])('refuses a wrong %s, which would otherwise be no policy at all', (option, changes) => {
    expect(() => make({}, changes as unknown as Partial<PositionReconcilerOptions>)).toThrow(
      expect.objectContaining({ code: 'RECONCILIATION_OPTIONS_INVALID', details: { path: option } }),
    );
  });

  it('refuses a wrong policy of one request', async () => {
    const policy = 'SYNC' as 'SYNC_TO_BROKER';
    await expect(make({}).reconcile({ ...request, policy })).rejects.toMatchObject({
      code: 'RECONCILIATION_OPTIONS_INVALID',
    });
  });

  it('takes another policy for one request, and never gives two reports one id', async () => {
    const reconciler = make({ now: { positions: [position('AAPL', '7')] } });
    const [halted, warned] = await Promise.all([
      reconciler.reconcile({ ...request, policy: 'HALT_AND_ALERT' }),
      reconciler.reconcile({ ...request, policy: 'WARN_ONLY' }),
    ]);
    expect(halted.plan.halt).toContain('AAPL');
    expect(warned.plan).toMatchObject({ actions: [], halt: null });
    expect(halted.report_id).not.toBe(warned.report_id);
  });

  it('runs one at a time, in order, and refuses more than it will queue', async () => {
    const log: string[] = [];
    let running = 0;
    const reconciler = make(
      { now: { positions: [position('AAPL', '10')] } },
      {
        requestSnapshot: async (sequence, port) => {
          running += 1;
          expect(running).toBe(1);
          log.push(`asked ${sequence}`);
          return answering(sequence, port);
        },
      },
    );
    const runs = [1, 2, 3, 4, 5, 6, 7, 8].map(async (sequence) => {
      const { outcome } = await reconciler.reconcile({ ...request, sequence });
      running -= 1;
      log.push(`done ${sequence} ${outcome}`);
    });
    await expect(reconciler.reconcile(request)).rejects.toMatchObject({ code: 'RECONCILIATION_BUSY', retryable: true });
    await Promise.all(runs);
    expect(log).toEqual([1, 2, 3, 4, 5, 6, 7, 8].flatMap((n) => [`asked ${n}`, `done ${n} ok`]));
  });

  it('rejects when there is no snapshot, and goes on', async () => {
    let dead = true;
    const reconciler = make(
      { now: { positions: [position('AAPL', '10')] } },
      {
        requestSnapshot: async (sequence, port) => {
          if (dead) throw new StateError('WORKER_ENDED', 'thread persistence ended');
          return answering(sequence, port);
        },
      },
    );
    const rejected = expect(reconciler.reconcile(request)).rejects;
    await rejected.toMatchObject({
      name: 'ReconciliationError',
      code: 'SNAPSHOT_UNAVAILABLE',
      cause: { code: 'WORKER_ENDED' },
    });
    dead = false;
    expect(await reconciler.reconcile(request)).toMatchObject({ outcome: 'ok' });
  });

  it('rejects when the persistence worker does not answer within the deadline', async () => {
    const reconciler = make({}, { deadlineMs: 30, requestSnapshot: () => new Promise(() => {}) });
    await expect(reconciler.reconcile(request)).rejects.toMatchObject({
      code: 'SNAPSHOT_UNAVAILABLE',
      cause: { code: 'RECONCILIATION_DEADLINE' },
    });
  });

  it('is inconclusive when the broker hangs or fails', async () => {
    const hangs = await make({ positions: 'hang' }, { deadlineMs: 1500 }).reconcile(request);
    expect(hangs).toMatchObject({ outcome: 'inconclusive', sequence: 7 });
    expect(hangs.why_inconclusive).toContain('waiting for');
    const fails = await make({ positions: 'reject' }).reconcile(request);
    expect(fails.why_inconclusive).toContain('down for maintenance');
  });

  it('rejects for a broker module that is a mistake, with the cause', async () => {
    await expect(make({ create: 'fail' }).reconcile(request)).rejects.toMatchObject({
      code: 'RECONCILIATION_FAILED',
      cause: { name: 'ConfigError', code: 'BROKER_MODULE_FAILED' },
    });
  });

  it.each([
    ['exit', 'RECONCILIATION_WORKER_DIED'],
    ['throw later', 'RECONCILIATION_WORKER_DIED'],
    ['block', 'RECONCILIATION_TIMED_OUT'],
  ] as const)('rejects with its type when the thread dies (%s), and the next run works', async (positions, code) => {
    const options = { positions };
    const reconciler = make(options, { deadlineMs: positions === 'block' ? 1000 : 10_000 });
    const rejected = expect(reconciler.reconcile(request)).rejects;
    const mended = { positions: undefined, now: { positions: [position('AAPL', '10')] } };
    await rejected.toMatchObject({ name: 'ReconciliationError', code, retryable: true });
    Object.assign(options, mended);
    expect((await reconciler.reconcile(request)).sequence).toBe(7);
  });

  it.each(['the snapshot', 'the broker'])(
    'closed while it waits for %s, ends that run and those in line',
    async (stage) => {
      const asked = Promise.withResolvers<void>();
      const requestSnapshot: PositionReconcilerOptions['requestSnapshot'] = async (sequence, port) => {
        // The run goes on to its task before anything that is queued after this.
        setImmediate(asked.resolve);
        return stage === 'the snapshot' ? new Promise(() => {}) : answering(sequence, port);
      };
      const reconciler = make({ positions: 'hang' }, { requestSnapshot });
      const settled = Promise.allSettled([reconciler.reconcile(request), reconciler.reconcile(request)]);
      await asked.promise;
      await reconciler.close();
      const results = (await settled).map((result) => (result.status === 'rejected' ? result.reason.code : 'report'));
      expect(results).toEqual(['RECONCILER_CLOSED', 'RECONCILER_CLOSED']);
      await expect(reconciler.reconcile(request)).rejects.toMatchObject({ code: 'RECONCILER_CLOSED' });
      await reconciler.close();
    },
  );

  it('refuses options that make no sense', () => {
    expect(() => make({}, { poolSize: 3 as 2 })).toThrow('poolSize: expected 1 or 2');
    expect(() => make({}, { deadlineMs: 0 })).toThrow('deadlineMs');
  });
});

describe('the environment of a reconciliation thread', () => {
  it('holds the broker’s variables and those that its options name, and nothing else', async () => {
    const secrets = { APCA_TEST_KEY: 'a', HOLDFAST_TEST: 'b', MY_BROKER_SECRET: 'c', OTHER_SECRET: 'd' };
    Object.assign(process.env, secrets);
    try {
      const options = {
        tellEnvironment: true,
        keyVariable: 'MY_BROKER_SECRET',
        now: { positions: [position('AAPL', '10')] },
      };
      const report = await make(options).reconcile(request);
      const names = report.broker?.account.account_id.split(' ').filter((name) => name !== 'NODE_V8_COVERAGE');
      const known = new Set(environmentNames({ module: 'x', options }));
      expect(names?.filter((name) => !known.has(name))).toEqual([]);
      expect(names).toContain('APCA_TEST_KEY');
      expect(names).toContain('HOLDFAST_TEST');
      expect(names).toContain('MY_BROKER_SECRET');
      expect(names).not.toContain('OTHER_SECRET');
      expect(names).not.toContain('PATH');
    } finally {
      for (const name of Object.keys(secrets)) delete process.env[name];
    }
  });
});
