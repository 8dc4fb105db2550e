import type { Recovery } from '../model/recovery.ts';
import type { Logger } from './logger.ts';

/** Says what a restore used and what it lost: nothing of either stays unsaid. */
export function logRecovery(logger: Logger, recovery: Recovery, directory: string): void {
  const { epoch, sequence, timestamp, age_ms, used, lost, quarantined } = recovery;
  if (timestamp === null && used.length === 0) {
    logger.info({ directory }, 'the state directory is new: nothing to restore');
  } else {
    logger.info(
      { directory, epoch, sequence, timestamp, age_ms, strategies: used.length },
      `restored ${used.length} strategies as of ${timestamp ?? 'an unknown time'}`,
    );
  }
  if (recovery.stale) {
    logger.warn(
      { directory, age_ms, timestamp },
      `the restored state is stale: it is from ${timestamp ?? 'an unknown time'}; reconcile with the broker before trading on it`,
    );
  }
  for (const loss of lost) {
    const fields = { what: loss.what, file: loss.file, acknowledged: loss.acknowledged };
    if (loss.acknowledged) logger.error(fields, `acknowledged state was lost: ${loss.file}: ${loss.why}`);
    else logger.warn(fields, `${loss.file} was not used: ${loss.why}`);
  }
  for (const file of quarantined) logger.warn({ file }, `kept aside for you to look at: ${file}`);
}
