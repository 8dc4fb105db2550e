import { systemClock } from '../model/time.ts';
import { isLocked } from '../persistence/lock.ts';
import { nodeFileSystem } from '../persistence/node-file-system.ts';
import { type VerifiedSegment, type VerifyReport, verify } from '../persistence/verify.ts';
import {
  type CommonOptions,
  counted,
  type ExitCode,
  left,
  paint,
  right,
  table,
  writeJson,
  writeLine,
  writeNotice,
} from './output.ts';
import { busy } from './progress.ts';
import { staleAfterMs, stateDirectory } from './read-state.ts';
import { printLosses } from './status.ts';

/**
 * Reads every checkpoint and segment, and changes nothing. Exits 1 where damage can be recovered from, 2 where it cannot: the report
 * is printed all the same, and the reason also stands on standard error.
 */
export async function verifyDirectory(directory: string, options: CommonOptions): Promise<ExitCode> {
  const absolute = stateDirectory(directory);
  const report = busy(`reading every file of ${absolute}`, () =>
    verify(nodeFileSystem, absolute, {
      currency: null,
      staleAfterMs,
      now: systemClock.nowMicros(),
      lockHeld: isLocked(absolute).held,
    }),
  );
  if (options.json === true) writeJson(report);
  else print(report);
  if (report.restorable) return report.ok ? 0 : 1;
  const { code = 'NOT_RESTORABLE', message = 'the directory cannot be restored' } = report.error ?? {};
  writeNotice(paint('red', `holdfast: ${code}: ${message.replaceAll(/\s*\n\s*/g, ' ')}`, process.stderr));
  return 2;
}

function print(report: VerifyReport): void {
  writeLine(report.directory);
  if (report.generations.length === 0 && report.segments.length === 0) writeLine('no checkpoint and no journal');
  if (report.generations.length > 0) {
    writeLine(
      table(
        [left('checkpoint'), right('epoch'), right('sequence'), left('state')],
        report.generations.map(({ file, epoch, sequence, problem, why }) => [
          file,
          String(epoch ?? ''),
          String(sequence ?? ''),
          problem === null ? 'valid' : paint('red', `${problem.replace('_', ' ').toUpperCase()}: ${why}`),
        ]),
      ),
    );
    writeLine();
  }
  if (report.segments.length > 0) {
    writeLine(
      table(
        [left('journal'), right('groups'), right('first'), right('last'), right('bytes'), left('state')],
        report.segments.map((segment) => [
          segment.file,
          String(segment.groups),
          String(segment.first_sequence),
          String(segment.last_sequence),
          String(segment.bytes),
          stateOf(segment),
        ]),
      ),
    );
    writeLine();
  }
  printOutcome(report);
}

function stateOf({ damages }: VerifiedSegment): string {
  if (damages.length === 0) return 'valid';
  const told = damages.map(({ torn_tail, offset, bytes, why }) => {
    const what = torn_tail ? 'torn tail' : paint('red', 'DAMAGED');
    return `${what} at byte ${offset}, ${counted(bytes, 'byte')}: ${why}`;
  });
  return told.join('; ');
}

function printOutcome({ would_use, would_lose, ok }: VerifyReport): void {
  if (would_lose.length > 0) writeLine('a restore works around:');
  printLosses(would_lose, (line) => writeLine(`  ${line}`));
  if (would_use === null) {
    writeLine(`${paint('red', 'NOT RESTORABLE')}: nothing was changed`);
    return;
  }
  for (const { strategy, source, file, records } of would_use.strategies) {
    writeLine(`  ${strategy}: ${source} ${file}, then ${counted(records, 'journal record')}`);
  }
  const mark = ok ? paint('green', 'valid') : paint('yellow', 'damaged, and restorable');
  const stale = would_use.stale ? ', which is stale' : '';
  writeLine(`${mark}: a restore gives epoch ${would_use.epoch}, sequence ${would_use.sequence}${stale}`);
}
