import type { BrokerAdapter } from '../../src/brokers/adapter.ts';
import type { Reconciler } from '../../src/engine/reconciler-port.ts';
import { timestamp } from '../../src/model/time.ts';
import { localBooks } from '../../src/reconciliation/books.ts';
import { compare } from '../../src/reconciliation/compare.ts';
import { Deadline } from '../../src/reconciliation/deadline.ts';
import { compareOptions } from '../../src/reconciliation/options.ts';
import { plan } from '../../src/reconciliation/plan.ts';
import { knownActivities, readEvidence } from '../../src/reconciliation/read.ts';
import { buildReport } from '../../src/reconciliation/report.ts';
import { reconciliationPolicies } from '../../src/reconciliation/types.ts';
import type { HostState } from '../../src/state/host-state.ts';
import type { ManualClock } from '../../src/testing/manual-clock.ts';
import { evidenceCases, evidenceScene, misled } from './bad-evidence.ts';
import { crashBetween, crashPoints } from './crash-between.ts';
import { fillStory } from './fill-story.ts';
import type { MemoryHostState } from './memory-host-state.ts';

/** Our own code, deliberately broken by what stands between it and the state or the broker: nothing of it is in src. */
export interface EngineMutant {
  readonly name: string;
  /** Of the fault matrix: what is to catch it. */
  readonly row: number;
  /** Runs the row with the mutant, or with the true code, and says what was found. */
  run(broken: boolean): Promise<string[]>;
}

const seeds = 25;

export const engineMutants: readonly EngineMutant[] = [
  {
    name: 'order sent before its intent is durable',
    row: 22,
    run: (broken) => crashes((state) => (broken ? withState(state, { durableSequence: () => state.sequence }) : state)),
  },
  {
    name: 'an execution counts whenever it is told',
    row: 23,
    async run(broken) {
      const found: string[] = [];
      for (let seed = 1; seed <= seeds; seed += 1) {
        const { wrong } = await fillStory(seed, (state) => (broken ? forgetful(state) : state));
        found.push(...wrong);
      }
      return found;
    },
  },
  {
    name: 'sync on an empty read',
    row: 24,
    async run(broken) {
      const found: string[] = [];
      for (const evidence of evidenceCases) {
        for (const policy of reconciliationPolicies) {
          const scene = await evidenceScene(policy, evidence.tampering, {}, broken ? ungated : undefined);
          found.push(...misled(scene, await scene.life.reconcile(), evidence));
        }
      }
      return found;
    },
  },
];

/** The real reading, comparing and planning, without the gate: one read is believed, whatever it says. */
function ungated(state: HostState, broker: BrokerAdapter, clock: ManualClock): Reconciler {
  return {
    async reconcile({ trigger, policy }) {
      const { strategies, sequence, timestamp: at } = state.snapshot();
      const requestedAt = timestamp(clock.nowMicros());
      const local = localBooks(strategies, { sequence, timestamp: at, currency: 'USD' });
      const known = knownActivities(
        strategies.map(({ broker_cursor }) => broker_cursor),
        local,
        requestedAt,
      );
      const read = await readEvidence(broker, local, known, new Deadline(600_000, clock), clock);
      const found = compare(local, read, compareOptions({}, requestedAt));
      const planned = plan(local, read, found, policy, { assessment: { ok: true, confirmed: true }, trigger });
      const head = { report_id: 'r', at: requestedAt, trigger, policy, sequence, duration_ms: 0 };
      return buildReport(head, local, read, found, planned, null);
    },
  };
}

async function crashes(wrapState: (state: MemoryHostState) => MemoryHostState): Promise<string[]> {
  const found: string[] = [];
  for (const point of crashPoints) {
    for (let seed = 1; seed <= seeds; seed += 1) {
      const { duplicated, lost, wrong } = await crashBetween(point, 'enforced', seed, wrapState);
      found.push(...duplicated.map((each) => `duplicated: ${each}`), ...lost, ...wrong);
    }
  }
  return found;
}

type Getters = Readonly<Record<string, () => unknown>>;

/** A state of which some properties answer otherwise. */
function withState(state: MemoryHostState, getters: Getters): MemoryHostState {
  return new Proxy(state, {
    get(target, name) {
      const other = Object.hasOwn(getters, name) ? getters[String(name)] : undefined;
      if (other !== undefined) return other();
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** A state whose books remember no execution. */
function forgetful(state: MemoryHostState): MemoryHostState {
  const register = (name: string): unknown => {
    const book = state.register(name);
    return new Proxy(book, {
      get(target, property) {
        if (property === 'hasExecution') return () => false;
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  };
  return withState(state, { register: () => register, hasExecution: () => () => false });
}
