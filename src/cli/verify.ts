import { systemClock } from '../model/time.ts';
import { isLocked } from '../persistence/lock.ts';
import { nodeFileSystem } from '../persistence/node-file-system.ts';
import { verify } from '../persistence/verify.ts';
import { type CommonOptions, type ExitCode, paint, table, writeJson, writeLine } from './output.ts';
import { stateDirectory } from './read-state.ts';

/** Reads every checkpoint and segment. Exits 1 where damage can be recovered from, 2 where it cannot. */
export async function verifyDirectory(directory: string, options: CommonOptions): Promise<ExitCode> {
  const absolute = stateDirectory(directory);
  const report = verify(nodeFileSystem, absolute, {
    currency: null,
    staleAfterMs: 3_600_000,
    now: systemClock.nowMicros(),
    lockHeld: isLocked(absolute).held,
  });
  if (options.json === true) writeJson(report);
  else print(report);
  if (!report.restorable) return 2;
  return report.ok ? 0 : 1;
}

function print(report: ReturnType<typeof verify>): void {
  const mark = (valid: boolean) => (valid ? paint('green', 'valid') : paint('red', 'DAMAGED'));
  writeLine(report.directory);
  const right = (title: string) => ({ title, align: 'right' }) as const;
  writeLine(
    table(
      [{ title: 'checkpoint' }, right('epoch'), right('sequence'), { title: 'state' }],
      report.generations.map((g) => [
        g.file,
        String(g.epoch ?? ''),
        String(g.sequence ?? ''),
        g.valid ? 'valid' : `DAMAGED: ${g.why}`,
      ]),
    ),
  );
  writeLine();
  writeLine(
    table(
      [{ title: 'journal' }, right('groups'), right('first'), right('last'), right('bytes'), { title: 'state' }],
      report.segments.map((s) => [
        s.file,
        String(s.groups),
        String(s.first_sequence ?? ''),
        String(s.last_sequence ?? ''),
        String(s.bytes),
        s.damages.length === 0
          ? 'valid'
          : s.damages.map((d) => `${d.torn_tail ? 'torn tail' : 'DAMAGED'} at byte ${d.offset}: ${d.why}`).join('; '),
      ]),
    ),
  );
  writeLine();
  for (const loss of report.would_lose) writeLine(`${loss.what}: ${loss.file}: ${loss.why}`);
  if (report.error !== null) writeLine(`${mark(false)}: ${report.error.message}`);
  else writeLine(`${mark(true)}: a restore gives sequence ${report.would_use?.sequence ?? 0} for every strategy`);
}
