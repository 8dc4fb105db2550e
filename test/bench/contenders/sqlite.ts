import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { PositionSnapshot } from '../../../src/model/position.ts';
import type { Contender } from '../contender.ts';
import { timed } from '../stats.ts';

/** (d) node:sqlite on the calling thread: write-ahead log, synchronous=FULL, a row for each position, a transaction a commit. */
export const sqlite: Contender = {
  key: 'd',
  name: 'node:sqlite WAL FULL',
  async start(directory, positions) {
    const database = new DatabaseSync(join(directory, 'state.sqlite'));
    database.exec(
      'PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE positions (asset TEXT PRIMARY KEY, entry TEXT) WITHOUT ROWID',
    );
    const put = database.prepare(
      'INSERT INTO positions VALUES (?, ?) ON CONFLICT DO UPDATE SET entry = excluded.entry',
    );
    const commit = (changed: readonly PositionSnapshot[]): void => {
      database.exec('BEGIN IMMEDIATE');
      for (const position of changed) put.run(position.asset, JSON.stringify(position));
      database.exec('COMMIT');
    };
    commit(positions);
    return {
      commit: async (changed) => timed(() => commit(changed)),
      async close() {
        database.close();
      },
    };
  },
};
