import type { After } from '../actor/timers.ts';
import type { BrokerAdapter } from '../brokers/adapter.ts';
import type { OrderReport } from '../model/report.ts';
import { type Clock, micros, type Timestamp } from '../model/time.ts';
import { Backoff, pause, unlessAborted } from './backoff.ts';

/**
 * What a look-up by client order id came to.
 * found: the broker has it. not_received: it had time enough and said twice that it has none. unsettled: it says that it has none, and
 * that is no evidence at this venue. gone: other evidence came first. aborted: no answer until the signal; `error` is the last failure.
 */
export type Verdict =
  | { readonly kind: 'found'; readonly report: OrderReport }
  | { readonly kind: 'not_received' }
  | { readonly kind: 'unsettled'; readonly why: string }
  | { readonly kind: 'gone' }
  | { readonly kind: 'aborted'; readonly error: unknown };

export interface LookUp {
  readonly broker: BrokerAdapter;
  readonly orderId: string;
  /** The broker has said that it knows the id (a duplicate was refused), so that it cannot be a stranger to it. */
  readonly arrived: boolean;
  /** When its intent was made; null where that is not known. */
  readonly createdAt: Timestamp | null;
  readonly clock: Clock;
  readonly stillUnknown: () => boolean;
  readonly after: After;
  readonly signal: AbortSignal;
  readonly random?: () => number;
}

/** Negative answers that it takes, each given after the broker's settling time. */
export const negativeReadsMin = 2;

/**
 * Finds out what became of an order whose outcome is unknown. It only reads: nothing is ever sent again. Failures to read are retried
 * with backoff until the signal aborts.
 */
export async function lookUp(request: LookUp): Promise<Verdict> {
  const { broker, orderId, after, signal } = request;
  const { clientOrderIds, settleMs } = broker.capabilities;
  if (clientOrderIds === 'none') {
    return { kind: 'unsettled', why: `${broker.name} does not know our order ids` };
  }
  const backoff = new Backoff(request.random === undefined ? {} : { random: request.random });
  let failure: unknown = null;
  let settled = false;
  let negative = 0;
  while (request.stillUnknown()) {
    if (signal.aborted) return { kind: 'aborted', error: failure };
    try {
      const report = await unlessAborted(() => broker.fetchOrder(orderId), signal);
      if (report === undefined && signal.aborted) continue;
      // A broker that shows the order and does not know its status has given no evidence either way.
      if (report != null && report.status !== 'unknown') return { kind: 'found', report };
      if (report === null && settled) negative += 1;
      failure = null;
    } catch (error) {
      failure = error;
      await pause(after, backoff.nextMs(error), signal);
      continue;
    }
    if (negative >= negativeReadsMin) {
      if (request.arrived)
        return { kind: 'unsettled', why: 'the broker refused its id as a duplicate but does not show it' };
      if (clientOrderIds === 'enforced' || isRemembered(request)) return { kind: 'not_received' };
      return { kind: 'unsettled', why: `${broker.name} forgets order ids, so not finding one proves nothing` };
    }
    // The first look may find it at once; only what is said after the settling time counts as a no.
    await pause(after, settled ? backoff.nextMs() : settleMs, signal);
    settled = true;
  }
  return { kind: 'gone' };
}

/** Whether a venue that remembers ids for a while would still know this one. */
function isRemembered({ broker, createdAt, clock }: LookUp): boolean {
  const { clientOrderIdWindowMs } = broker.capabilities;
  if (clientOrderIdWindowMs === undefined || createdAt === null) return false;
  const ageMs = (clock.nowMicros() - micros(createdAt)) / 1000;
  return ageMs >= 0 && ageMs < clientOrderIdWindowMs;
}
