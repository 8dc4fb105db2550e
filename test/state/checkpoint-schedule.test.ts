import { describe, expect, it } from 'vitest';
import { decimal } from '../../src/model/money.ts';
import { CheckpointSchedule, type CheckpointScheduleOptions } from '../../src/state/checkpoint-schedule.ts';
import { position } from '../support/state-fixtures.ts';

const off: CheckpointScheduleOptions = { intervalMs: 0, commits: 0, bytes: 0, notional: null };

describe('a checkpoint is due', () => {
  it('never by itself where everything is off', () => {
    const schedule = new CheckpointSchedule(off, 0);
    expect(schedule.due(1_000_000, true, 2 ** 40, 1e12)).toBeNull();
    expect([schedule.weighsBytes, schedule.weighsPositions]).toEqual([false, false]);
  });

  it('when its time has come and anything changed, be it only a price', () => {
    const schedule = new CheckpointSchedule({ ...off, intervalMs: 60 }, 100);
    expect(schedule.due(1, true, null, 159)).toBeNull();
    expect(schedule.due(0, false, null, 160)).toBeNull();
    expect(schedule.due(0, true, null, 160)).toBe('interval');
    expect(schedule.due(1, false, null, 160)).toBe('interval');
    schedule.began(1, 160);
    expect(schedule.due(1, false, null, 1_000)).toBeNull();
  });

  it('after so many commits', () => {
    const schedule = new CheckpointSchedule({ ...off, commits: 3 }, 0);
    schedule.began(10, 0);
    expect(schedule.due(12, false, null, 0)).toBeNull();
    expect(schedule.due(13, false, null, 0)).toBe('significant_change');
  });

  it('after so many bytes since the last one began, however many there were before', () => {
    const schedule = new CheckpointSchedule({ ...off, bytes: 1_000 }, 0);
    expect(schedule.due(1, false, 50_000, 0)).toBeNull();
    expect(schedule.due(1, false, 50_999, 0)).toBeNull();
    expect(schedule.due(1, false, 51_000, 0)).toBe('significant_change');
    schedule.began(1, 0);
    expect(schedule.due(2, false, 52_000, 0)).toBeNull();
  });

  it('after so much was traded, in either direction, at the last price or else the cost', () => {
    const schedule = new CheckpointSchedule({ ...off, notional: decimal('100') }, 0);
    schedule.addPosition(undefined, position('AAPL', '2', { last_price: '20' }));
    schedule.addPosition(position('AAPL', '2'), position('AAPL', '2'));
    schedule.addPosition(position('AAPL', '2', { last_price: '20' }), position('AAPL', '-0.5', { last_price: '20' }));
    expect(schedule.due(1, false, null, 0)).toBeNull();
    schedule.addPosition(position('MSFT', '1', { cost_basis: '10' }), undefined);
    expect(schedule.due(1, false, null, 0)).toBe('significant_change');
    schedule.began(1, 0);
    expect(schedule.due(2, false, null, 0)).toBeNull();
  });
});
