import { type After, systemAfter } from '../actor/timers.ts';
import { ConfigError, HoldfastError } from '../model/errors.ts';
import type { Alert } from './alert.ts';
import type { EngineLogger } from './logger.ts';

/*
 * Alerts as POST requests with a JSON body.
 *
 * H1  alert() never throws and never waits: the alert is queued, and sent between the engine's events.
 * H2  One request at a time, in the order of the alerts. The queue has a bound; when it is full the oldest that is not being sent
 *     gives way, and the next that is sent says how many did.
 * H3  A request has a deadline, and an alert so many attempts: after a network error, a deadline, 408, 429 or 5xx, with a wait that
 *     doubles, with jitter. Any other answer is final.
 * H4  The URL is a secret: it is in no message, log line or error. Redirects are not followed, since they would carry the alert on.
 */

export interface AlertWebhookOptions {
  /** http: or https:; a user and password in it are sent as basic authorization. */
  readonly url: string;
  /** Names this engine in the body. Default "holdfast". */
  readonly host?: string;
  /** Alerts below it are not sent. Default "warn". */
  readonly level?: Alert['level'];
  /** For one request. Default 5,000. */
  readonly timeoutMs?: number;
  /** For one alert. Default 5. */
  readonly attemptsMax?: number;
  /** The wait before the second attempt; it doubles from one to the next, up to a minute. Default 500. */
  readonly backoffMs?: number;
  /** How many alerts wait. Default 256. */
  readonly queueMax?: number;
  readonly logger?: EngineLogger;
  readonly fetch?: typeof fetch;
  readonly after?: After;
  /** Between 0 and 1. */
  readonly random?: () => number;
}

/** The body of a request. */
export interface AlertMessage {
  readonly format: 'holdfast-alert';
  readonly format_version: 1;
  readonly host: string;
  readonly level: Alert['level'];
  readonly code: string;
  readonly message: string;
  readonly strategy: string | null;
  readonly at: string;
  readonly details: Alert['details'];
  readonly error: { readonly code: string | null; readonly message: string } | null;
  /** Alerts that were not sent before this one, because too many waited or the receiver did not take them. */
  readonly dropped: number;
}

export interface AlertWebhook {
  /** For `onAlert`. */
  readonly alert: (alert: Alert) => void;
  /** Takes no more alerts, and resolves once those that wait are sent or given up, or after `ms`. Safe to call twice. */
  close(ms: number): Promise<void>;
}

const levels = { info: 0, warn: 1, error: 2 } as const;
const backoffMsMax = 60_000;

/** @throws ConfigError WEBHOOK_INVALID for a URL that is none, without repeating it */
export function alertWebhook(options: AlertWebhookOptions): AlertWebhook {
  const sender = new WebhookSender(options);
  return { alert: (alert) => sender.alert(alert), close: (ms) => sender.close(ms) };
}

class WebhookSender {
  readonly #options: Required<Omit<AlertWebhookOptions, 'logger' | 'url'>>;
  readonly #logger: EngineLogger | null;
  readonly #target: { readonly url: URL; readonly headers: Readonly<Record<string, string>> };
  readonly #end = new AbortController();
  #queue: Alert[] = [];
  #dropped = 0;
  #sending: Promise<void> | null = null;
  #closed = false;
  #isFailing = false;

  constructor(options: AlertWebhookOptions) {
    this.#target = targetOf(options.url);
    this.#logger = options.logger ?? null;
    this.#options = {
      host: 'holdfast',
      level: 'warn',
      timeoutMs: 5_000,
      attemptsMax: 5,
      backoffMs: 500,
      queueMax: 256,
      fetch: globalThis.fetch,
      after: systemAfter,
      random: Math.random,
      ...options,
    };
  }

  alert(alert: Alert): void {
    if (this.#closed || levels[alert.level] < levels[this.#options.level]) return;
    if (this.#queue.length >= this.#options.queueMax) {
      this.#queue.shift();
      this.#dropped += 1;
    }
    this.#queue.push(alert);
    // send() settles by itself whatever happens.
    this.#sending ??= this.#send().finally(() => {
      this.#sending = null;
    });
  }

  async close(ms: number): Promise<void> {
    this.#closed = true;
    if (this.#sending === null) return;
    const cancel = this.#options.after(ms, () => this.#end.abort());
    await this.#sending;
    cancel();
  }

  async #send(): Promise<void> {
    // Not within the event that alerts.
    await new Promise((resolve) => setImmediate(resolve));
    for (let alert = this.#queue.shift(); alert !== undefined; alert = this.#queue.shift()) {
      const dropped = this.#dropped;
      const why = this.#end.signal.aborted ? 'it was closed' : await this.#deliver(alert, dropped);
      if (why === null) this.#dropped -= dropped;
      else this.#dropped += 1;
      this.#tell(alert, why);
    }
  }

  /** Null once it was taken, else why it was given up. */
  async #deliver(alert: Alert, dropped: number): Promise<string | null> {
    const { attemptsMax, backoffMs, random } = this.#options;
    const body = bodyOf(alert, this.#options.host, dropped);
    for (let attempt = 1; ; attempt += 1) {
      const { why, isFinal } = await this.#attempt(body);
      if (why === null || isFinal || attempt >= attemptsMax || this.#end.signal.aborted) return why;
      await this.#pause(Math.min(backoffMs * 2 ** (attempt - 1), backoffMsMax) * (0.5 + random() / 2));
    }
  }

  async #attempt(body: string): Promise<{ readonly why: string | null; readonly isFinal: boolean }> {
    const { after, timeoutMs } = this.#options;
    const deadline = new AbortController();
    const cancel = after(timeoutMs, () => deadline.abort());
    try {
      const response = await this.#options.fetch(this.#target.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...this.#target.headers },
        body,
        redirect: 'manual',
        signal: AbortSignal.any([deadline.signal, this.#end.signal]),
      });
      // What it says is nobody's concern, and may be long.
      await response.body?.cancel();
      if (response.ok) return { why: null, isFinal: true };
      const { status } = response;
      return { why: `it answered ${status}`, isFinal: status < 500 && status !== 408 && status !== 429 };
    } catch (error) {
      if (deadline.signal.aborted) return { why: `no answer within ${timeoutMs} ms`, isFinal: false };
      return { why: reasonOf(error), isFinal: false };
    } finally {
      cancel();
    }
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#end;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const cancel = this.#options.after(ms, done);
      signal.addEventListener('abort', done);
    });
  }

  /** Once when it begins to fail, and once when it works again: an alert that is not sent is in the log already. */
  #tell(alert: Alert, why: string | null): void {
    if ((why !== null) === this.#isFailing) return;
    this.#isFailing = why !== null;
    try {
      if (why === null) this.#logger?.info({}, 'the alert webhook takes alerts again');
      else this.#logger?.error({ alert: alert.code, why }, `an alert could not be sent to the webhook: ${why}`);
    } catch {
      // A logger that throws is no reason to send nothing any more.
    }
  }
}

function bodyOf({ level, code, message, strategy, at, details, error }: Alert, host: string, dropped: number): string {
  const cause =
    error === null ? null : { code: error instanceof HoldfastError ? error.code : null, message: error.message };
  const body: AlertMessage = {
    format: 'holdfast-alert',
    format_version: 1,
    host,
    level,
    code,
    message,
    strategy,
    at,
    details,
    error: cause,
    dropped,
  };
  return JSON.stringify(body);
}

function targetOf(text: string): { readonly url: URL; readonly headers: Readonly<Record<string, string>> } {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new ConfigError(
      'WEBHOOK_INVALID',
      'the alert webhook: expected an http: or https: URL (it is not repeated here)',
    );
  }
  if (url.username === '' && url.password === '') return { url, headers: {} };
  // fetch refuses a URL with credentials, and says it in full.
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  url.username = '';
  url.password = '';
  return { url, headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` } };
}

/** What went wrong by its code alone: a message may hold the URL. */
function reasonOf(error: unknown): string {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string' && /^[A-Z][A-Z0-9_]*$/.test(at.code))
      return `the request failed: ${at.code}`;
  }
  return 'the request failed';
}
