import { setImmediate as turn } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createTextRing } from '../../src/actor/text-ring.ts';
import type { DataRequest } from '../../src/persistence/protocol.ts';
import { ServiceDataLane, turnMessagesMax } from '../../src/persistence/service-data-lane.ts';
import { DeltaPort } from '../../src/state/delta-port.ts';

const incarnation = 1;

it('ends a turn although the engine posts as fast as it takes, and takes the rest in later turns', () => {
  const { port1, port2 } = new MessageChannel();
  const post = (phase: string) => port1.postMessage({ kind: 'phase', incarnation, phase } satisfies DataRequest);
  let taken = 0;
  let turns = 0;
  const lane = new ServiceDataLane(port2, null, incarnation, {
    onDelta: () => {},
    onPhase: () => {
      taken += 1;
      if (taken < 3 * turnMessagesMax) post(String(taken));
    },
    onTurnEnd: () => {
      turns += 1;
    },
  });
  post('first');
  lane.pump();
  expect([taken, turns]).toEqual([turnMessagesMax, 1]);
  for (let turn = 2; turn <= 4; turn += 1) lane.pump();
  expect([taken, turns]).toEqual([3 * turnMessagesMax, 4]);
  lane.close();
  port1.close();
});

it('takes every delta in its order, whether it came through the ring or had no room there', async () => {
  type Step =
    | { readonly kind: 'post'; readonly length: number }
    | { readonly kind: 'pump' | 'phase' | 'turn' | 'other' };
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 8, arbitrary: fc.record({ kind: fc.constant('post' as const), length: fc.nat({ max: 150 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('pump', 'phase', 'turn', 'other') }) },
  );
  let [byRing, byPort] = [0, 0];
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { port1, port2 } = new MessageChannel();
      // Too small for the longest texts, and full after a few.
      const ring = createTextRing(512);
      const taken: string[] = [];
      const phases: string[] = [];
      const turns: number[] = [];
      const lane = new ServiceDataLane(port2, ring, incarnation, {
        onDelta: (line) => taken.push(line),
        onPhase: (phase) => phases.push(phase),
        onTurnEnd: () => turns.push(taken.length),
      });
      lane.listen();
      const post = port1.postMessage.bind(port1);
      Object.assign(port1, {
        postMessage: (request: DataRequest) => {
          if (request.kind === 'delta') byPort += 1;
          post(request);
        },
      });
      const engine = new DeltaPort(port1, ring);
      const posted: string[] = [];
      let told = 0;
      for (const each of steps) {
        if (each.kind === 'post') {
          const through = posted.length + 1;
          const line = `${through}:${'ä'.repeat(each.length)}`;
          posted.push(line);
          engine.postMessage({ kind: 'delta', incarnation, through, line });
          byRing += 1;
        } else if (each.kind === 'pump') lane.pump();
        else if (each.kind === 'turn') await turn();
        else if (each.kind === 'phase') {
          told += 1;
          engine.postMessage({ kind: 'phase', incarnation, phase: String(told) });
        } else post({ kind: 'delta', incarnation: 2, through: 1, line: 'of another incarnation' });
      }
      for (let count = 0; count < 100 && (taken.length < posted.length || phases.length < told); count += 1)
        await turn();
      expect(taken).toEqual(posted);
      expect(phases).toHaveLength(told);
      // What was taken is part of a turn that ended.
      expect(turns.at(-1) ?? 0).toBe(posted.length);
      lane.close();
      engine.close();
    }),
    { numRuns: 1_000 },
  );
  // Both ways were gone, else this shows little.
  expect(byPort).toBeGreaterThan(500);
  expect(byRing - byPort).toBeGreaterThan(500);
});
