import type { ActivityReport } from '../brokers/adapter.ts';
import { type Decimal, decimal, zero } from '../model/money.ts';
import type { Discrepancy } from './types.ts';

/**
 * Names the activities that are no trades (dividends, interest, fees, splits, transfers) where they are a difference to the last digit: the
 * newest of the currency or the asset, as many as it takes, since older ones are in the books by an earlier sync. They explain; nothing
 * is booked for them, and what a policy does about the difference it does all the same. Pure.
 */
export function explain(
  discrepancies: readonly Discrepancy[],
  activities: readonly ActivityReport[],
  base: string,
): Discrepancy[] {
  const newestFirst = activities.filter(({ canceled }) => !canceled).sort((a, b) => (a.at < b.at ? 1 : -1));
  return discrepancies.map((discrepancy) => {
    const by = explanation(discrepancy, newestFirst, base);
    if (by.length === 0) return discrepancy;
    const names = by.map((activity) => named(activity, discrepancy.kind === 'cash')).join(', ');
    const message = `${discrepancy.message} It is, to the last digit, what the broker booked without a trade: ${names}.`;
    return { ...discrepancy, message, explained_by: by };
  });
}

/** Whether an activity could be the reason of one of these, so that it is worth to read them. */
export function canBeExplained(discrepancies: readonly Discrepancy[]): boolean {
  return discrepancies.some(({ kind }) => kind === 'cash' || isQuantity(kind));
}

function explanation(
  { kind, subject, difference }: Discrepancy,
  newestFirst: readonly ActivityReport[],
  base: string,
): readonly ActivityReport[] {
  if (difference === null || !(kind === 'cash' || isQuantity(kind))) return [];
  const wanted = decimal(difference);
  const by: ActivityReport[] = [];
  let sum = zero;
  for (const activity of newestFirst) {
    const effect = kind === 'cash' ? cashOf(activity, subject, base) : unitsOf(activity, subject);
    if (effect.isZero()) continue;
    by.push(activity);
    sum = sum.plus(effect);
    if (sum.eq(wanted)) return by;
  }
  return [];
}

function isQuantity(kind: Discrepancy['kind']): boolean {
  return kind.startsWith('position_') && kind !== 'position_cost_basis';
}

function cashOf({ cash, currency }: ActivityReport, subject: string, base: string): Decimal {
  return (currency ?? base) === subject ? decimal(cash) : zero;
}

function unitsOf({ asset, amount }: ActivityReport, subject: string): Decimal {
  return asset === subject && amount !== null ? decimal(amount) : zero;
}

function named({ type, asset, cash, amount, at }: ActivityReport, isCash: boolean): string {
  const what = isCash ? cash : (amount ?? '');
  return `${type}${asset === null ? '' : ` ${asset}`} ${what} at ${at}`;
}
