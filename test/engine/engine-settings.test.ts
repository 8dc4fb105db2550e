import { describe, expect, it } from 'vitest';
import type { LiveTradingEngineOptions } from '../../src/engine/engine-options.ts';
import { LiveTradingEngine } from '../../src/engine/live-trading-engine.ts';
import { FakeBroker } from '../support/fake-broker.ts';
import { memoryHostState } from '../support/memory-host-state.ts';

function engine(options: Readonly<Record<string, unknown>>): LiveTradingEngine {
  const all = { state: memoryHostState(), broker: new FakeBroker(), ...options };
  return new LiveTradingEngine(all as unknown as LiveTradingEngineOptions);
}

describe('the options of an engine', () => {
  it('count as absent where they are undefined, as a configuration without them gives them', async () => {
    const made = engine({
      policy: undefined,
      gate: undefined,
      startDeadlineMs: undefined,
      stopDeadlineMs: undefined,
      lagMsMax: undefined,
      mailboxCapacity: undefined,
      reconcileIntervalMs: undefined,
      host: undefined,
      clock: undefined,
      after: undefined,
      onAlert: undefined,
      feed: undefined,
    });
    expect((await made.start()).phase.kind).toBe('trading');
    await made.stop();
  });

  it.each([
    ['state', undefined],
    ['state', {}],
    ['broker', 'alpaca'],
    ['reconciler', {}],
    ['feed', [1, 2]],
    ['policy', 'SYNC'],
    ['gate', 'sync'],
    ['reconcileIntervalMs', Number.NaN],
    ['reconcileIntervalMs', -1],
    ['startDeadlineMs', '60'],
    ['stopDeadlineMs', 2 ** 31],
    ['lagMsMax', -1],
    ['mailboxCapacity', 0],
    ['host', ''],
    ['instruments', 5],
    ['clock', {}],
    ['onAlert', 5],
    ['ownsState', 'yes'],
  ])('are refused by name: %s as %s', (option, value) => {
    expect(() => engine({ [option]: value })).toThrow(
      expect.objectContaining({
        name: 'ConfigError',
        code: 'ENGINE_OPTIONS_INVALID',
        details: { path: option },
        message: expect.stringContaining(`option ${option}: expected`),
      }),
    );
  });

  it('have to be there', () => {
    expect(() => new LiveTradingEngine(undefined as unknown as LiveTradingEngineOptions)).toThrow(
      expect.objectContaining({ code: 'ENGINE_OPTIONS_INVALID' }),
    );
  });
});
