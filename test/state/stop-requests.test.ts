import { expect, it } from 'vitest';
import { stopRequests } from '../../src/state/stop-requests.ts';

function at(...signals: readonly (readonly [number, NodeJS.Signals])[]): readonly string[] {
  let nowMs = 0;
  const request = stopRequests(() => nowMs);
  return signals.map(([ms, signal]) => {
    nowMs = ms;
    return request(signal);
  });
}

it('a signal that comes again within moments, as npm and timeout pass it on, asks for nothing more', () => {
  expect(at([0, 'SIGINT'], [3, 'SIGINT'], [499, 'SIGINT'])).toEqual(['first', 'echo', 'echo']);
});

it('a signal that comes again later asks for the end', () => {
  expect(at([0, 'SIGINT'], [500, 'SIGINT'])).toEqual(['first', 'second']);
  expect(at([0, 'SIGTERM'], [3, 'SIGTERM'], [2000, 'SIGTERM'])).toEqual(['first', 'echo', 'second']);
});

it('another signal asks for the end at once', () => {
  expect(at([0, 'SIGINT'], [1, 'SIGTERM'])).toEqual(['first', 'second']);
});
