import type { Logger } from 'pino';
import { marketFeed } from '../brokers/paper/market-feed.ts';
import { type AlertWebhook, alertWebhook } from '../engine/alert-webhook.ts';
import { type Feed, replay } from '../engine/feed.ts';
import { ConfigError } from '../model/errors.ts';
import { defaultStateDirectory } from '../persistence/state-directory.ts';
import type { ReconciliationOptions } from '../reconciliation/options.ts';
import { PositionReconciler } from '../state/position-reconciler.ts';
import { StateManager } from '../state/state-manager.ts';
import type { LoadedConfig, RunConfig } from './config.ts';
import { loadModule } from './load-module.ts';
import { begin, tapeFeed } from './tape-feed.ts';

/** Opens the state directory of a configuration. */
export function openState(loaded: LoadedConfig, logger: Logger): Promise<StateManager> {
  const { config } = loaded;
  return StateManager.open({
    directory: stateDirectoryOf(loaded),
    host: config.host,
    currency: config.currency,
    checkpointIntervalMs: config.checkpoint.interval_ms,
    significantChange: significantChange(config.checkpoint.significant_change),
    generations: config.checkpoint.generations,
    staleAfterMs: config.stale_after_ms,
    audit: config.audit,
    force: config.force_file_system,
    logger,
  });
}

/** Where a configuration wants alerts to go; null where nowhere. @throws ConfigError WEBHOOK_INVALID */
export function makeWebhook({ config }: LoadedConfig, logger: Logger): AlertWebhook | null {
  const { webhook } = config.alerts;
  if (webhook === undefined) return null;
  const url = process.env[webhook.url_env];
  if (url === undefined || url === '') {
    throw new ConfigError(
      'WEBHOOK_INVALID',
      `alerts.webhook.url_env: the environment variable ${webhook.url_env} is not set; set it to the URL, or remove alerts.webhook`,
      { details: { path: 'alerts.webhook.url_env', variable: webhook.url_env } },
    );
  }
  const { level, timeout_ms, attempts } = webhook;
  return alertWebhook({ url, host: config.host, level, timeoutMs: timeout_ms, attemptsMax: attempts, logger });
}

/** The reconciler of a configuration, which reads the books from the persistence worker. */
export function makeReconciler({ config, base }: LoadedConfig, state: StateManager): PositionReconciler {
  return new PositionReconciler({
    broker: config.broker,
    baseUrl: base,
    policy: config.reconciliation.policy,
    options: reconciliationOptions(config),
    deadlineMs: config.reconciliation.deadline_ms,
    requestSnapshot: (sequence, port) => state.sendSnapshot(sequence, port),
  });
}

export function reconciliationOptions({ currency, instruments, reconciliation }: RunConfig): ReconciliationOptions {
  const { policies, owners, cost_basis_tolerance, cash_tolerance } = reconciliation;
  return {
    currency,
    instruments,
    policies,
    owner: owners,
    costBasisTolerance: cost_basis_tolerance,
    cashTolerance: cash_tolerance,
  };
}

/** Absolute: where the configuration keeps its state. */
export function stateDirectoryOf({ config, path }: LoadedConfig): string {
  return config.state_dir === undefined ? defaultStateDirectory(process.env) : path(config.state_dir);
}

/**
 * The feed of a configuration. A tape is begun, so that one that is missing or malformed is refused before anything is opened.
 * @throws FeedError FEED_UNREADABLE, FEED_INVALID; ConfigError of a feed module
 */
export async function openFeed({ config: { feed }, base, path }: LoadedConfig, signal: AbortSignal): Promise<Feed> {
  switch (feed.kind) {
    case 'tape': {
      const tapes = feed.tapes.map((tape) => ({ ...tape, path: path(tape.path) }));
      const begun = await begin(tapeFeed(tapes));
      return replay(begun.feed, { speed: feed.speed, signal });
    }
    case 'stream':
      return marketFeed(feed.url, {
        keyIdEnv: feed.key_id_env,
        secretKeyEnv: feed.secret_key_env,
        ...(feed.keys_file === undefined ? {} : { keysFile: path(feed.keys_file) }),
        signal,
      });
    case 'module':
      return feedOf((await loadModule<unknown>('feed', 'createFeed', feed, base))(feed.options), feed.module);
  }
}

function feedOf(made: unknown, module: string): Feed {
  const isFeed = typeof made === 'object' && made !== null && Symbol.asyncIterator in made;
  if (isFeed) return made as Feed;
  throw new ConfigError(
    'MODULE_INVALID',
    `feed: what createFeed of module ${module} gives is no feed: expected an async iterable of market events`,
    { details: { module } },
  );
}

function significantChange(given: RunConfig['checkpoint']['significant_change']) {
  return {
    ...(given.commits === undefined ? {} : { commits: given.commits }),
    ...(given.journal_bytes === undefined ? {} : { journalBytes: given.journal_bytes }),
    ...(given.notional === undefined ? {} : { notional: given.notional }),
  };
}
