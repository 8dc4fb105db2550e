import { MessageChannel } from 'node:worker_threads';
import { expect, it } from 'vitest';
import type { DataRequest } from '../../src/persistence/protocol.ts';
import { ServiceDataLane, turnMessagesMax } from '../../src/persistence/service-data-lane.ts';

it('ends a turn although the engine posts as fast as it takes, and takes the rest in later turns', () => {
  const { port1, port2 } = new MessageChannel();
  const post = (phase: string) => port1.postMessage({ kind: 'phase', incarnation: 1, phase } satisfies DataRequest);
  let taken = 0;
  let turns = 0;
  const lane = new ServiceDataLane(port2, 1, {
    onRequest: () => {
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
