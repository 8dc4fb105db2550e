import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// What a user gets is the tarball, so that is what is checked: its types and entries, and, installed in an empty project,
// that every kind of worker starts from it.
const root = fileURLToPath(new URL('../..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'holdfast-package-'));

function run(command: string, args: readonly string[], cwd: string): string {
  process.stdout.write(`$ ${command} ${args.join(' ')}\n`);
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

try {
  run('npm', ['run', '-s', 'build'], root);
  run('npm', ['pack', '--silent', '--pack-destination', scratch], root);
  const tarball = join(scratch, readdirSync(scratch).find((name) => name.endsWith('.tgz')) ?? '');
  process.stdout.write(run('publint', [tarball, '--strict'], root));
  process.stdout.write(run('attw', [tarball, '--profile', 'esm-only'], root));

  const project = join(scratch, 'project');
  execFileSync('mkdir', [project]);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'empty', private: true, type: 'module' }));
  run('npm', ['install', '--silent', '--no-audit', '--no-fund', tarball], project);
  writeFileSync(join(project, 'check.js'), program());
  process.stdout.write(run('node', ['check.js'], project));
  process.stdout.write(run(join(project, 'node_modules/.bin/holdfast'), ['--version'], project));
  process.stdout.write('package: ok\n');
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** Starts the workers of persistence, audit and reconciliation from the installed package, against the paper broker's server. */
function program(): string {
  return `
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { PositionReconciler, StateManager } from 'holdfast';
import { PaperExchange, startPaperServer } from 'holdfast/brokers';

const keys = { keyId: 'package-check', secretKey: 'package-check-secret' };
process.env.APCA_API_KEY_ID = keys.keyId;
process.env.APCA_API_SECRET_KEY = keys.secretKey;
const directory = mkdtempSync(join(tmpdir(), 'holdfast-installed-'));
const server = await startPaperServer({ exchange: new PaperExchange({ cash: { USD: '1000' }, assets: { AAPL: 'USD' } }), keys });
const state = await StateManager.open({ directory, audit: true });
const book = state.register('package_check');
book.setCash('1000');
book.addEvent({ kind: 'note', name: 'package check', data: 1, at: new Date().toISOString() });
const sequence = state.commit();
await state.durable(sequence);
const reconciler = new PositionReconciler({
  broker: { module: 'alpaca', options: { url: server.url } },
  policy: 'WARN_ONLY',
  requestSnapshot: (through, port) => state.sendSnapshot(through, port),
});
const report = await reconciler.reconcile({ trigger: 'on_demand', sequence, policy: 'WARN_ONLY' });
await reconciler.close();
await state.close();
await server.close();
const audit = new DatabaseSync(join(directory, 'audit.db'), { readOnly: true });
const rows = audit.prepare("SELECT kind FROM order_audit_log WHERE kind = 'note'").all();
audit.close();
if (rows.length !== 1) throw new Error('the audit worker did not take the event: ' + JSON.stringify(rows));
rmSync(directory, { recursive: true });
if (report.outcome !== 'ok') throw new Error(JSON.stringify(report));
console.log('workers start from the installed package: persistence, audit, reconciliation');
`;
}
