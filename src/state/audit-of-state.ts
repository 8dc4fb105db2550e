import { AuditSession } from './audit-session.ts';
import { startAuditThread } from './audit-thread.ts';
import type { SharedWords } from './shared-words.ts';
import type { StateSettings } from './state-options.ts';
import type { StateReports } from './state-reports.ts';

/** The audit of an open state, not started, which tells what becomes of it in the state's reports; null where it is off. */
export function auditOf(settings: StateSettings, words: SharedWords, reports: StateReports): AuditSession | null {
  if (settings.audit === null) return null;
  const { directory, restartsMax, restartBackoffMs } = settings;
  const { everyMs, hangMs, heapMbMax, fileSystem } = settings.audit;
  return new AuditSession({
    audit: { directory, everyMs, fileSystem },
    shared: words.buffer,
    start: startAuditThread,
    hangMs,
    heapMbMax,
    restartsMax,
    restartBackoffMs,
    hooks: {
      gap: (message) => reports.audit('gap', message),
      restarted: (incarnation, { message }) =>
        reports.audit('restarted', `the audit worker ended and is replaced (incarnation ${incarnation}): ${message}`),
      failed: ({ message }) => reports.audit('failed', `the audit stands still until the next start: ${message}`),
      notice: (level, message) => reports.auditNotice(level, message),
    },
  });
}
