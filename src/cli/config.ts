import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { ConfigError } from '../model/errors.ts';
import { type DecimalString, decimalSchema } from '../model/money.ts';
import { assetSchema, currencySchema, strategyNameSchema, UNASSIGNED } from '../model/names.ts';
import {
  type DiscrepancyKind,
  discrepancyKinds,
  type ReconciliationPolicy,
  reconciliationPolicies,
} from '../reconciliation/types.ts';
import { configProblems } from './config-problems.ts';

/** The configuration of `holdfast run`, as written in the file; docs/architecture/live-trading.md explains each field. */
export interface RunConfig {
  readonly $schema?: string | undefined;
  readonly host: string;
  readonly state_dir?: string | undefined;
  readonly currency: string;
  readonly instruments: Readonly<Record<string, { readonly currency: string }>>;
  readonly broker: ModuleSpec;
  readonly feed: FeedConfig;
  readonly strategies: readonly StrategyConfig[];
  readonly checkpoint: {
    readonly interval_ms: number;
    readonly generations: number;
    readonly significant_change: {
      readonly commits?: number | undefined;
      readonly journal_bytes?: number | undefined;
      readonly notional?: DecimalString | undefined;
    };
  };
  readonly reconciliation: {
    readonly policy: ReconciliationPolicy;
    readonly policies: Readonly<Partial<Record<DiscrepancyKind, ReconciliationPolicy>>>;
    readonly interval_ms: number;
    readonly owners: Readonly<Record<string, string>>;
    readonly cost_basis_tolerance: DecimalString;
    readonly cash_tolerance: Readonly<Record<string, DecimalString>>;
    readonly deadline_ms: number;
  };
  readonly gate: 'durable' | 'async';
  readonly audit: boolean;
  readonly alerts: { readonly webhook?: WebhookConfig | undefined };
  readonly stale_after_ms: number;
  readonly shutdown_deadline_ms: number;
  readonly force_file_system: boolean;
  readonly log_level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
}

export interface WebhookConfig {
  readonly url_env: string;
  readonly level: 'info' | 'warn' | 'error';
  readonly timeout_ms: number;
  readonly attempts: number;
}

export interface ModuleSpec {
  readonly module: string;
  readonly options: Readonly<Record<string, unknown>>;
}

export interface StrategyConfig extends ModuleSpec {
  readonly name: string;
  readonly assets?: readonly string[] | undefined;
  readonly initial_cash?: Readonly<Record<string, DecimalString>> | undefined;
}

export type FeedConfig =
  | {
      readonly kind: 'tape';
      readonly tapes: readonly { readonly path: string; readonly asset?: string | undefined }[];
      readonly speed: number;
    }
  | {
      readonly kind: 'stream';
      readonly url: string;
      readonly key_id_env: string;
      readonly secret_key_env: string;
      readonly keys_file?: string | undefined;
    }
  | ({ readonly kind: 'module' } & ModuleSpec);

const moduleShape = {
  module: z.string().min(1).describe('a built-in name, a package, or a path relative to this file'),
  options: z
    .record(z.string(), z.unknown())
    .default({})
    .describe('handed to the module as they are; never put a key here'),
};
const dayMs = 86_400_000;
const interval = z.int().min(0).max(dayMs);
const policy = z.enum(reconciliationPolicies);
const notNegative = decimalSchema.refine((text) => !text.startsWith('-'), 'expected 0 or more');

const feedSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('tape'),
    tapes: z
      .array(z.strictObject({ path: z.string().min(1), asset: assetSchema.optional() }))
      .min(1)
      .describe('CSV or gzipped CSV of trades or bars, merged by time'),
    speed: z.number().min(0).default(0).describe('times real time; 0 is as fast as possible'),
  }),
  z.strictObject({
    kind: z.literal('stream'),
    url: z.url({ protocol: /^https?$/ }).describe('base URL of a paper broker: its market stream'),
    key_id_env: z.string().default('APCA_API_KEY_ID'),
    secret_key_env: z.string().default('APCA_API_SECRET_KEY'),
    keys_file: z.string().min(1).optional(),
  }),
  z.strictObject({ kind: z.literal('module'), ...moduleShape }),
]);

const configShape = z.strictObject({
  $schema: z.string().optional(),
  host: strategyNameSchema.default('holdfast').describe('names this engine in logs, status and client order ids'),
  state_dir: z
    .string()
    .min(1)
    // Only a shell knows what it stands for: here it would be a directory of that name beside the file.
    .refine((path) => !/^~(\/|$)/.test(path), 'begins with "~", which is not resolved here: write the whole path')
    .optional()
    .describe('default: $HOLDFAST_STATE_DIR, else ~/.holdfast/state'),
  currency: currencySchema.default('USD').describe('base currency: that of cash_balance'),
  instruments: z.record(assetSchema, z.strictObject({ currency: currencySchema })).default({}),
  broker: z.strictObject(moduleShape),
  feed: feedSchema,
  strategies: z
    .array(
      z.strictObject({
        name: strategyNameSchema,
        ...moduleShape,
        assets: z.array(assetSchema).optional(),
        initial_cash: z.record(currencySchema, notNegative).optional(),
      }),
    )
    .min(1)
    .superRefine((strategies, context) => {
      const seen = new Set<string>();
      for (const [index, { name }] of strategies.entries()) {
        if (seen.has(name))
          context.addIssue({ code: 'custom', path: [index, 'name'], message: `"${name}" is named twice` });
        if (name === UNASSIGNED) {
          const message = `"${UNASSIGNED}" is the book of what belongs to no strategy: take another name`;
          context.addIssue({ code: 'custom', path: [index, 'name'], message });
        }
        seen.add(name);
      }
    }),
  checkpoint: z
    .strictObject({
      interval_ms: interval.default(60_000).describe('0 turns the interval off'),
      generations: z.int().min(2).max(100).default(3),
      significant_change: z
        .strictObject({
          commits: z.int().min(1).optional(),
          journal_bytes: z.int().min(1024).optional(),
          notional: notNegative.optional(),
        })
        .default({}),
    })
    .prefault({}),
  reconciliation: z
    .strictObject({
      policy: policy.default('HALT_AND_ALERT'),
      policies: z.partialRecord(z.enum(discrepancyKinds), policy).default({}),
      interval_ms: interval.default(300_000).describe('0 reconciles only at start'),
      owners: z.record(assetSchema, strategyNameSchema).default({}),
      cost_basis_tolerance: notNegative.default('0.0001').describe('relative'),
      cash_tolerance: z.record(currencySchema, notNegative).default({}).describe('absolute, for each currency'),
      deadline_ms: z.int().min(100).max(600_000).default(30_000),
    })
    .prefault({}),
  gate: z
    .enum(['durable', 'async'])
    .default('durable')
    .describe('durable: an order leaves only after its intent is durable'),
  audit: z.boolean().default(true).describe('keep every event in audit.db, by a worker of its own'),
  alerts: z
    .strictObject({
      webhook: z
        .strictObject({
          url_env: z
            .string()
            .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of an environment variable')
            .describe(
              'the environment variable with the URL that alerts are posted to: it is a secret, and never put here',
            ),
          level: z.enum(['info', 'warn', 'error']).default('warn').describe('alerts below it are not sent'),
          timeout_ms: z.int().min(10).max(60_000).default(5_000).describe('for one request'),
          attempts: z.int().min(1).max(20).default(5).describe('for one alert'),
        })
        .optional(),
    })
    .prefault({}),
  stale_after_ms: z
    .int()
    .min(0)
    .max(30 * dayMs)
    .default(3_600_000),
  shutdown_deadline_ms: z.int().min(100).max(600_000).default(10_000),
  force_file_system: z.boolean().default(false).describe('use a network or memory file system all the same'),
  log_level: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
});

export const runConfigSchema: z.ZodType<RunConfig> = configShape.superRefine((config, context) => {
  const names = config.strategies.map(({ name }) => name);
  for (const [asset, owner] of Object.entries(config.reconciliation.owners)) {
    if (names.includes(owner)) continue;
    // What went to a name that nobody trades would be looked after by nobody.
    const message = `${JSON.stringify(owner)} is no strategy of this configuration: expected one of ${names.join(', ')}`;
    context.addIssue({ code: 'custom', path: ['reconciliation', 'owners', asset], message });
  }
}) as z.ZodType<RunConfig>;

/** A configuration that was read: `base` is the file URL that its relative modules and paths are resolved against. */
export interface LoadedConfig {
  readonly config: RunConfig;
  readonly file: string;
  readonly base: string;
  /** Resolves a path of the configuration against its file. */
  path(relative: string): string;
}

/**
 * Reads and checks a configuration file.
 * @throws ConfigError CONFIG_UNREADABLE, CONFIG_NOT_JSON, or CONFIG_INVALID naming every wrong field by its path
 */
export function loadConfig(file: string): LoadedConfig {
  const absolute = resolve(file);
  const parsed = runConfigSchema.safeParse(parseJson(absolute));
  if (!parsed.success) {
    const problems = configProblems(parsed.error);
    const told = problems.map(({ path, message }) => `${path}: ${message}`).join('; ');
    throw new ConfigError(
      'CONFIG_INVALID',
      `${absolute}: ${told}. "holdfast config-schema" prints what each field may be.`,
      { details: { path: problems[0]?.path ?? '', file: absolute, problems: problems.length }, cause: parsed.error },
    );
  }
  return {
    config: parsed.data,
    file: absolute,
    base: pathToFileURL(absolute).href,
    path: (relative) => resolve(dirname(absolute), relative),
  };
}

/** The published JSON schema, for editors. */
export function configJsonSchema(): unknown {
  return z.toJSONSchema(runConfigSchema, { io: 'input', unrepresentable: 'any' });
}

function parseJson(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ConfigError(
      'CONFIG_UNREADABLE',
      `${file}: cannot be read: ${(cause as Error).message}. Give the path of a JSON file.`,
      {
        cause,
        details: { file },
      },
    );
  }
  try {
    // Some editors begin a file with a byte order mark.
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw new ConfigError(
      'CONFIG_NOT_JSON',
      `${file}: not JSON: ${(cause as Error).message}. Comments and trailing commas are not JSON.`,
      { cause, details: { file } },
    );
  }
}
