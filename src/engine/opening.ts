import type { ActivityCursor, BrokerAdapter } from '../brokers/adapter.ts';
import { BrokerError } from '../model/errors.ts';
import type { AccountReport, OrderReport, PositionReport } from '../model/report.ts';

/** What an account held when the books were opened. */
export interface OpeningBalance {
  readonly account: AccountReport;
  readonly positions: readonly PositionReport[];
  readonly orders: readonly OrderReport[];
  /** Every activity up to here is in the figures. */
  readonly cursor: ActivityCursor;
}

/** How often an account that moves while it is read is read again. */
const roundsMax = 5;

/**
 * Reads an account that was never kept here, between two looks at its activities that agree.
 * @throws BrokerError ACCOUNT_MOVING when it did not stand still in any of five rounds; whatever a read failed with
 */
export async function readOpeningBalance(broker: BrokerAdapter): Promise<OpeningBalance> {
  let { cursor } = await broker.fetchFills({ activity_id: null, at: null });
  for (let round = 0; round < roundsMax; round += 1) {
    const account = await broker.fetchAccount();
    const positions = await broker.fetchPositions();
    const orders = await broker.fetchOpenOrders();
    const moved = await broker.fetchFills(cursor);
    if (moved.fills.length === 0) return { account, positions, orders, cursor };
    cursor = moved.cursor;
  }
  throw new BrokerError(
    'ACCOUNT_MOVING',
    `the account at ${broker.name} was traded during each of ${roundsMax} reads of its opening balance; stop whatever else trades it and start again`,
    { retryable: true },
  );
}
