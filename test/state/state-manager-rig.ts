import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach } from 'vitest';
import type { HostStateEvents } from '../../src/state/host-state.ts';
import type { LogFields, Logger } from '../../src/state/logger.ts';
import { StateManager } from '../../src/state/state-manager.ts';
import type { StateManagerOptions } from '../../src/state/state-options.ts';
import { FakePersistence } from '../support/state-fake-persistence.ts';

/** A directory, a disk with its workers, and the states that a test opens on them: new ones for each test. */
export class StateManagerRig {
  directory = '';
  disk: FakePersistence = new FakePersistence();
  log: { readonly level: string; readonly fields: LogFields; readonly message: string }[] = [];
  opened: StateManager[] = [];

  constructor() {
    beforeEach(() => {
      this.directory = mkdtempSync(join(tmpdir(), 'holdfast-state-'));
      this.disk = new FakePersistence();
      this.log = [];
      this.opened = [];
    });
    afterEach(async () => {
      this.disk.failure = null;
      this.disk.auto = true;
      this.disk.before = () => {};
      for (const state of this.opened) {
        await state.close({ checkpoint: false, deadlineMs: 50 }).catch(() => undefined);
      }
      rmSync(this.directory, { recursive: true, force: true });
    });
  }

  async open(options: StateManagerOptions = {}): Promise<StateManager> {
    const { directory, disk } = this;
    const write =
      (level: string) =>
      (fields: LogFields, message: string): void => {
        this.log.push({ level, fields, message });
      };
    const logger: Logger = { info: write('info'), warn: write('warn'), error: write('error') };
    const state = await StateManager.openWith(
      { directory, force: true, logger, checkpointIntervalMs: 0, restartBackoffMs: 0, lastWordsMs: 0, ...options },
      disk.start,
    );
    this.opened.push(state);
    return state;
  }
}

/** The next time that the state emits this. */
export function next(state: StateManager, event: keyof HostStateEvents): Promise<unknown> {
  return new Promise((resolve) => {
    const listener = (detail: unknown): void => {
      state.off(event, listener);
      resolve(detail);
    };
    state.on(event, listener);
  });
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}
