import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { beginDirectory, loadCurrency } from '../../src/cli/load/base.ts';
import { positionAt, replacedBy, strategyName, strategyOf } from '../../src/cli/load/plan.ts';
import { recordKey } from '../../src/cli/load/record.ts';
import { HoldfastError } from '../../src/model/errors.ts';
import { StateManager } from '../../src/state/state-manager.ts';
import type { SaveError, VictimCommand, VictimOptions, VictimSays } from './fault-process.ts';

/*
 * A process that makes the commits of the load test when it is told to, so that a fault can be put exactly where it belongs, and
 * that `load --check` can check. It takes commands as lines of JSON and says what happens as lines of JSON, each written out at once.
 */

const options = JSON.parse(String(process.argv[2])) as VictimOptions;
const begun = beginDirectory(options.directory, options.plan);
let { record, commits } = begun;
const state = await StateManager.open({
  directory: options.directory,
  host: 'victim',
  currency: loadCurrency,
  checkpointIntervalMs: 0,
  significantChange: { journalBytes: 0 },
  force: true,
  logger: { info: () => {}, warn: () => {}, error: () => {} },
  lag: { lagMsMax: options.lagMsMax ?? 1_000 },
  ...(options.fileSystem === undefined ? {} : { fileSystem: options.fileSystem }),
});
const books = Array.from({ length: record.strategies }, (_, strategy) => state.register(strategyName(strategy)));

state.on('durable', (sequence) => say({ is: 'ack', sequence }));
state.on('lagging', ({ error }) => say({ is: 'lagging', error: toldOf(error) }));
state.on('recovered', () => say({ is: 'recovered' }));
state.on('checkpointFailed', (error) => say({ is: 'checkpointFailed', error: toldOf(error) }));
state.on('failed', (error) => say({ is: 'failed', error: toldOf(error) }));
state.on('notice', ({ message }) => say({ is: 'notice', message }));
say({ is: 'opened', sequence: state.sequence });

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as VictimCommand;
  if (command.do === 'close') {
    await state.close();
    break;
  }
  // Not awaited: what a command waits for may be held back by the fault, and the next command still counts.
  void save(command.commits, command.checkpoint);
}

async function save(count: number, checkpoint: boolean): Promise<void> {
  for (let i = 0; i < count; i += 1) commitOnce();
  const committed = state.sequence;
  say({ is: 'committed', sequence: committed });
  const durable = await failureOf(state.durable(committed));
  const written = checkpoint ? await failureOf(state.checkpoint()) : null;
  say({ is: 'saved', sequence: committed, durable, checkpoint: written });
}

/** The next commit of the plan. Where the sequence moved without one, the record says so from this commit on. */
function commitOnce(): void {
  const commit = commits + 1;
  const strategy = strategyOf(record, commit);
  for (let k = 0; k < record.changes; k += 1) {
    books[strategy]?.setPosition(positionAt(record, strategy, commit, replacedBy(record, commit, k)));
  }
  const passedOver = state.sequence - commits;
  if (passedOver !== record.passed_over) {
    record = { ...record, passed_over: passedOver };
    books[0]?.set(recordKey, record);
  }
  state.commit();
  commits = commit;
}

async function failureOf(promise: Promise<unknown>): Promise<SaveError | null> {
  try {
    await promise;
    return null;
  } catch (error) {
    return toldOf(error as Error);
  }
}

function toldOf(error: Error | null): SaveError | null {
  if (error === null) return null;
  if (!(error instanceof HoldfastError)) return { code: error.name, message: error.message, details: {} };
  return { code: error.code, message: error.message, details: error.details };
}

function say(what: VictimSays): void {
  writeSync(1, `${JSON.stringify(what)}\n`);
}
