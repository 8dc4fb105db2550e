import { afterEach, expect, it, vi } from 'vitest';
import { onShutdownSignals } from '../../src/state/shutdown-signals.ts';

/** A signal that nothing else in this process listens to. */
const signal = 'SIGUSR2';

afterEach(() => {
  vi.restoreAllMocks();
});

/** Resolves with the code of the next process.exit(), which does not end this process. */
function exited(): Promise<number> {
  return new Promise((resolve) => {
    vi.spyOn(process, 'exit').mockImplementation(((code: number) => resolve(code)) as never);
  });
}

it('what cannot stop anything is refused at once, and not when the signal comes', () => {
  const wrong = { stop: () => Promise.resolve() } as unknown as () => Promise<void>;
  expect(() => onShutdownSignals(wrong, { signals: [signal] })).toThrow(
    expect.objectContaining({ code: 'SHUTDOWN_INVALID' }),
  );
  expect(process.listenerCount(signal)).toBe(0);
});

it('a signal stops once and ends the process with 0; with 1 where the stop rejects, or throws', async () => {
  const outcomes: readonly [() => Promise<void>, number][] = [
    [() => Promise.resolve(), 0],
    [() => Promise.reject(new Error('a stop that rejects, in a test')), 1],
    [
      () => {
        throw new Error('a stop that throws, in a test');
      },
      1,
    ],
  ];
  for (const [stop, code] of outcomes) {
    const remove = onShutdownSignals(stop, { signals: [signal] });
    const ended = exited();
    process.emit(signal, signal);
    expect(await ended).toBe(code);
    remove();
    vi.restoreAllMocks();
  }
  expect(process.listenerCount(signal)).toBe(0);
});
