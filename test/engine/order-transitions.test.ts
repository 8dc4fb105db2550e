import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  evidenceOf,
  isFinalEvidence,
  isLive,
  nextStatus,
  type OrderEvidence,
} from '../../src/engine/order-transitions.ts';
import { finalOrderStatuses, isFinal, type OrderStatus, openOrderStatuses } from '../../src/model/order.ts';

const statuses: readonly OrderStatus[] = [...openOrderStatuses, ...finalOrderStatuses];
const evidences: readonly OrderEvidence[] = [
  'accepted',
  'partially_filled',
  ...finalOrderStatuses,
  'cancel_requested',
  'replace_requested',
  'request_refused',
  'unanswered',
  'never_sent',
  'never_received',
];
const status = fc.constantFrom(...statuses);
const evidence = fc.constantFrom(...evidences);

describe('the table of order statuses', () => {
  it('never takes back a final status', () => {
    fc.assert(
      fc.property(fc.constantFrom(...finalOrderStatuses), evidence, fc.boolean(), (final, learnt, filled) => {
        expect(nextStatus(final, learnt, filled)).toBe(final);
      }),
    );
  });

  it('ends every open order with final evidence', () => {
    for (const open of openOrderStatuses) {
      for (const final of finalOrderStatuses) expect(nextStatus(open, final, false)).toBe(final);
    }
  });

  it('never makes an order that lives unknown or unborn again', () => {
    fc.assert(
      fc.property(status, fc.array(evidence, { maxLength: 20 }), (from, learnt) => {
        let now = from;
        for (const each of learnt) {
          const next = nextStatus(now, each, false);
          if (isLive(now)) expect(isLive(next) || isFinal(next)).toBe(true);
          now = next;
        }
      }),
    );
  });

  it('gives the same for the same evidence twice', () => {
    fc.assert(
      fc.property(status, evidence, fc.boolean(), (from, learnt, filled) => {
        const once = nextStatus(from, learnt, filled);
        // A refused request is the end of that request; told twice, it is about an order without one.
        expect(nextStatus(once, learnt, filled)).toBe(once);
      }),
    );
  });

  it('keeps a partial fill through a late acceptance, and a request through a late report', () => {
    expect(nextStatus('partially_filled', 'accepted', true)).toBe('partially_filled');
    expect(nextStatus('pending_cancel', 'accepted', false)).toBe('pending_cancel');
    expect(nextStatus('pending_cancel', 'partially_filled', true)).toBe('pending_cancel');
    expect(nextStatus('pending_replace', 'accepted', false)).toBe('pending_replace');
  });

  it('gives an order whose request was refused the status that its fills say', () => {
    expect(nextStatus('pending_cancel', 'request_refused', true)).toBe('partially_filled');
    expect(nextStatus('pending_replace', 'request_refused', false)).toBe('open');
  });

  it('takes silence for unknown, and only a proof of absence for a rejection', () => {
    expect(nextStatus('pending', 'unanswered', false)).toBe('unknown');
    expect(nextStatus('unknown', 'unanswered', false)).toBe('unknown');
    expect(nextStatus('unknown', 'never_received', false)).toBe('rejected');
    expect(nextStatus('pending', 'never_sent', false)).toBe('canceled');
    // What may have been sent was not "never sent".
    expect(nextStatus('unknown', 'never_sent', false)).toBe('unknown');
    expect(nextStatus('open', 'never_received', false)).toBe('open');
  });

  it('learns from each reported status but one', () => {
    expect(evidenceOf('unknown')).toBeNull();
    expect(evidenceOf('pending')).toBe('accepted');
    expect(evidenceOf('open')).toBe('accepted');
    expect(evidenceOf('pending_cancel')).toBe('cancel_requested');
    expect(evidenceOf('pending_replace')).toBe('replace_requested');
    for (const final of finalOrderStatuses) {
      expect(evidenceOf(final)).toBe(final);
      expect(isFinalEvidence(final)).toBe(true);
    }
  });
});
