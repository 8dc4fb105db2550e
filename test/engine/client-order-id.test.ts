import { describe, expect, it } from 'vitest';
import { ClientOrderIds, clientOrderIdLengthMax } from '../../src/engine/client-order-id.ts';

describe('client order ids', () => {
  it('fit every venue, however long host, epoch and strategy are', () => {
    const ids = new ClientOrderIds('a host with a very long name.example.org', Number.MAX_SAFE_INTEGER, {});
    const id = ids.next('x'.repeat(100));
    expect(id).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(id.length).toBeLessThanOrEqual(clientOrderIdLengthMax);
  });

  it('are never given twice on one opened state, by any engine', () => {
    const opened = {};
    const given = [new ClientOrderIds('host', 7, opened), new ClientOrderIds('host', 7, opened)].flatMap((ids) =>
      ['a', 'b', 'a'].map((strategy) => ids.next(strategy)),
    );
    expect(new Set(given).size).toBe(6);
  });

  it('tell whose order it is, to whoever knows the strategy', () => {
    const id = new ClientOrderIds('host', 7, {}).next('alpha');
    const later = new ClientOrderIds('host', 8, {});
    expect(later.owner(id)).toBeUndefined();
    later.know('alpha');
    expect(later.owner(id)).toBe('alpha');
    expect(later.owner('manual-order-1')).toBeUndefined();
    expect(later.owner(id.replace('host', 'guest'))).toBeUndefined();
  });

  it('of two hosts whose names begin alike are told apart', () => {
    const one = new ClientOrderIds('trading-host-1', 1, {});
    const two = new ClientOrderIds('trading-host-2', 1, {});
    two.know('alpha');
    expect(two.owner(one.next('alpha'))).toBeUndefined();
  });
});
