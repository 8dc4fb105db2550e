import {
  type FinalOrderStatus,
  finalOrderStatuses,
  isFinal,
  type OpenOrderStatus,
  type OrderStatus,
} from '../model/order.ts';

/**
 * What can be learnt about an order. The first rows are the broker's word, in a report or by an execution; the requests are ours;
 * `unanswered` is the lack of an answer, `never_sent` our own certainty, and `never_received` the broker's word, given when it had
 * time enough, that it knows no such order.
 */
export type OrderEvidence =
  | 'accepted'
  | 'partially_filled'
  | FinalOrderStatus
  | 'cancel_requested'
  | 'replace_requested'
  | 'request_refused'
  | 'unanswered'
  | 'never_sent'
  | 'never_received';

type LiveEvidence = Exclude<OrderEvidence, FinalOrderStatus>;

/**
 * Status × evidence → status; final evidence ends every open order and so needs no column. Reports come late, twice and out of
 * order, so a row says what stays true whenever the evidence comes: `accepted` never takes back a partial fill or a request, and
 * nothing takes back a final status.
 */
const table: Readonly<Record<OpenOrderStatus, Readonly<Record<LiveEvidence, OrderStatus>>>> = {
  pending: {
    accepted: 'open',
    partially_filled: 'partially_filled',
    cancel_requested: 'pending_cancel',
    replace_requested: 'pending_replace',
    request_refused: 'pending',
    unanswered: 'unknown',
    never_sent: 'canceled',
    never_received: 'rejected',
  },
  unknown: {
    accepted: 'open',
    partially_filled: 'partially_filled',
    cancel_requested: 'pending_cancel',
    replace_requested: 'pending_replace',
    request_refused: 'unknown',
    unanswered: 'unknown',
    never_sent: 'unknown',
    never_received: 'rejected',
  },
  open: {
    accepted: 'open',
    partially_filled: 'partially_filled',
    cancel_requested: 'pending_cancel',
    replace_requested: 'pending_replace',
    request_refused: 'open',
    unanswered: 'open',
    never_sent: 'open',
    never_received: 'open',
  },
  partially_filled: {
    accepted: 'partially_filled',
    partially_filled: 'partially_filled',
    cancel_requested: 'pending_cancel',
    replace_requested: 'pending_replace',
    request_refused: 'partially_filled',
    unanswered: 'partially_filled',
    never_sent: 'partially_filled',
    never_received: 'partially_filled',
  },
  pending_cancel: {
    accepted: 'pending_cancel',
    partially_filled: 'pending_cancel',
    cancel_requested: 'pending_cancel',
    replace_requested: 'pending_cancel',
    request_refused: 'open',
    unanswered: 'pending_cancel',
    never_sent: 'pending_cancel',
    never_received: 'pending_cancel',
  },
  pending_replace: {
    accepted: 'pending_replace',
    partially_filled: 'pending_replace',
    cancel_requested: 'pending_cancel',
    replace_requested: 'pending_replace',
    request_refused: 'open',
    unanswered: 'pending_replace',
    never_sent: 'pending_replace',
    never_received: 'pending_replace',
  },
};

/**
 * The status after the evidence; the same one where the evidence says nothing new.
 * @param filled whether any part of the order is filled: an order that is live again after a refused request is then partially filled
 */
export function nextStatus(status: OrderStatus, evidence: OrderEvidence, filled: boolean): OrderStatus {
  if (isFinal(status)) return status;
  if (isFinalEvidence(evidence)) return evidence;
  const next = table[status][evidence];
  return next === 'open' && filled ? 'partially_filled' : next;
}

/** What a status in a broker's report tells; null for `unknown`, which tells nothing. */
export function evidenceOf(reported: OrderStatus): OrderEvidence | null {
  switch (reported) {
    case 'unknown':
      return null;
    case 'pending':
    case 'open':
      return 'accepted';
    case 'pending_cancel':
      return 'cancel_requested';
    case 'pending_replace':
      return 'replace_requested';
    default:
      return reported;
  }
}

export function isFinalEvidence(evidence: OrderEvidence): evidence is FinalOrderStatus {
  return (finalOrderStatuses as readonly string[]).includes(evidence);
}

/** The broker has shown that it holds the order: it can be canceled or replaced there. */
export function isLive(status: OrderStatus): boolean {
  return (
    status === 'open' || status === 'partially_filled' || status === 'pending_cancel' || status === 'pending_replace'
  );
}
