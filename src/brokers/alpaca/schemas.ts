/**
 * What we read of Alpaca's answers. Fields that we don't use are not looked at, and may come and go. Numbers must come as strings,
 * as documented: a JSON number has been a binary float before we see it.
 */
import { z } from 'zod';
import { Decimal, type DecimalString, decimalString } from '../../model/money.ts';
import { micros, type Timestamp, timestamp } from '../../model/time.ts';

export interface AlpacaError {
  readonly code?: number | string | undefined;
  readonly message: string;
}

export interface AlpacaAccount {
  readonly id: string;
  readonly status: string;
  readonly currency: string;
  readonly cash: DecimalString;
  readonly equity?: DecimalString | null | undefined;
  readonly buying_power?: DecimalString | null | undefined;
  readonly trading_blocked: boolean;
  readonly account_blocked: boolean;
  readonly trade_suspended_by_user: boolean;
  /** Fields that only the paper broker of this package sends, in an object of their own so that they can't be mistaken. */
  readonly holdfast?: { readonly cash: Readonly<Record<string, DecimalString>> } | undefined;
}

/** The paper broker's word on currencies and fees, which Alpaca does not tell with positions and executions. */
export interface OwnMoney {
  readonly currency: string;
  readonly fee?: DecimalString | undefined;
  readonly fee_currency?: string | undefined;
}

export interface AlpacaPosition {
  readonly symbol: string;
  readonly asset_class?: string | null | undefined;
  readonly qty: DecimalString;
  readonly side: 'long' | 'short';
  readonly avg_entry_price?: DecimalString | null | undefined;
  readonly current_price?: DecimalString | null | undefined;
  readonly holdfast?: OwnMoney | undefined;
}

export interface AlpacaOrder {
  readonly id: string;
  readonly client_order_id?: string | null | undefined;
  readonly symbol: string;
  readonly qty?: DecimalString | null | undefined;
  readonly notional?: DecimalString | null | undefined;
  readonly filled_qty?: DecimalString | null | undefined;
  readonly filled_avg_price?: DecimalString | null | undefined;
  readonly type: string;
  readonly side: 'buy' | 'sell';
  readonly time_in_force: string;
  readonly limit_price?: DecimalString | null | undefined;
  readonly stop_price?: DecimalString | null | undefined;
  readonly status: string;
  readonly created_at: Timestamp;
  readonly updated_at?: Timestamp | null | undefined;
  readonly holdfast?: { readonly reason: string | null } | undefined;
}

export interface AlpacaActivity {
  readonly id: string;
  readonly order_id: string;
  readonly symbol: string;
  readonly side: string;
  readonly qty: DecimalString;
  readonly price: DecimalString;
  readonly transaction_time: Timestamp;
  readonly holdfast?: OwnMoney | undefined;
}

/** What is no trade. `qty` is what the type makes of it. */
export interface AlpacaNonTrade {
  readonly id: string;
  readonly activity_type: string;
  readonly activity_sub_type?: string | null | undefined;
  readonly symbol?: string | null | undefined;
  readonly net_amount?: DecimalString | null | undefined;
  readonly qty?: DecimalString | null | undefined;
  readonly currency?: string | null | undefined;
  readonly status?: string | null | undefined;
  readonly created_at?: Timestamp | null | undefined;
  readonly date?: string | null | undefined;
}

export interface AlpacaTradeUpdate {
  readonly event: string;
  readonly execution_id?: string | null | undefined;
  readonly price?: DecimalString | null | undefined;
  readonly qty?: DecimalString | null | undefined;
  readonly timestamp?: Timestamp | null | undefined;
  readonly order: AlpacaOrder;
  readonly holdfast?: OwnMoney | undefined;
}

/** Any plain decimal text, rewritten in our form: "+100.00" and "100.0" are "100". */
const number = z
  .string()
  .regex(/^[+-]?\d{1,24}(\.\d{1,24})?$/, 'expected a decimal string')
  .transform((text): DecimalString => decimalString(new Decimal(text)));

const time = z.string().transform((text, context): Timestamp => {
  try {
    return timestamp(micros(text));
  } catch {
    context.addIssue({ code: 'custom', message: 'expected a time with a zone' });
    return z.NEVER;
  }
});

const ownMoney = z.object({ currency: z.string(), fee: number.optional(), fee_currency: z.string().optional() });

export const errorSchema: z.ZodType<AlpacaError> = z.object({
  code: z.union([z.number(), z.string()]).optional(),
  message: z.string(),
});

export const accountSchema: z.ZodType<AlpacaAccount> = z.object({
  id: z.string(),
  status: z.string(),
  currency: z.string().default('USD'),
  cash: number,
  equity: number.nullish(),
  buying_power: number.nullish(),
  trading_blocked: z.boolean().default(false),
  account_blocked: z.boolean().default(false),
  trade_suspended_by_user: z.boolean().default(false),
  holdfast: z.object({ cash: z.record(z.string(), number) }).optional(),
});

export const positionsSchema: z.ZodType<AlpacaPosition[]> = z.array(
  z.object({
    symbol: z.string(),
    asset_class: z.string().nullish(),
    qty: number,
    side: z.enum(['long', 'short']),
    avg_entry_price: number.nullish(),
    current_price: number.nullish(),
    holdfast: ownMoney.optional(),
  }),
);

export const orderSchema: z.ZodType<AlpacaOrder> = z.object({
  id: z.string(),
  client_order_id: z.string().nullish(),
  symbol: z.string(),
  qty: number.nullish(),
  notional: number.nullish(),
  filled_qty: number.nullish(),
  filled_avg_price: number.nullish(),
  type: z.string(),
  side: z.enum(['buy', 'sell']),
  time_in_force: z.string(),
  limit_price: number.nullish(),
  stop_price: number.nullish(),
  status: z.string(),
  created_at: time,
  updated_at: time.nullish(),
  holdfast: z.object({ reason: z.string().nullable() }).optional(),
});

export const ordersSchema: z.ZodType<AlpacaOrder[]> = z.array(orderSchema);

const fillSchema: z.ZodType<AlpacaActivity> = z.object({
  id: z.string().min(1),
  order_id: z.string(),
  symbol: z.string(),
  side: z.string(),
  qty: number,
  price: number,
  transaction_time: time,
  holdfast: ownMoney.optional(),
});

const nonTradeSchema: z.ZodType<AlpacaNonTrade> = z.object({
  id: z.string().min(1),
  activity_type: z.string().min(1),
  activity_sub_type: z.string().nullish(),
  symbol: z.string().nullish(),
  net_amount: number.nullish(),
  qty: number.nullish(),
  currency: z.string().nullish(),
  status: z.string().nullish(),
  created_at: time.nullish(),
  date: z.string().nullish(),
});

/** One entry of a list of activities: its id, for the next page, and what it is. Anything but a fill is none, whatever was asked for. */
export type AlpacaEntry =
  | { readonly kind: 'fill'; readonly id: string; readonly fill: AlpacaActivity }
  | { readonly kind: 'other'; readonly id: string; readonly other: AlpacaNonTrade };

/** A trade that was taken back or corrected is told in the words of one: taken for a fill it would count again what it undoes. */
const fillTypes: ReadonlySet<unknown> = new Set([undefined, null, 'fill', 'partial_fill']);
const isOther = (value: unknown): boolean => {
  const { activity_type, type } = (value ?? {}) as { readonly activity_type?: unknown; readonly type?: unknown };
  return activity_type !== undefined && (activity_type !== 'FILL' || !fillTypes.has(type));
};

export const activitiesSchema: z.ZodType<AlpacaEntry[]> = z.array(
  z.union([
    z
      .custom<unknown>((value) => !isOther(value))
      .pipe(fillSchema)
      .transform((fill): AlpacaEntry => ({ kind: 'fill', id: fill.id, fill })),
    z
      .custom<unknown>(isOther)
      .pipe(nonTradeSchema)
      .transform((other): AlpacaEntry => ({ kind: 'other', id: other.id, other })),
  ]),
);

export const tradeUpdateSchema: z.ZodType<AlpacaTradeUpdate> = z.object({
  event: z.string(),
  execution_id: z.string().nullish(),
  price: number.nullish(),
  qty: number.nullish(),
  timestamp: time.nullish(),
  order: orderSchema,
  holdfast: ownMoney.optional(),
});

/** A message of the account's stream: authorization, listening, trade_updates. */
export const streamMessageSchema: z.ZodType<{ readonly stream: string; readonly data: unknown }> = z.object({
  stream: z.string(),
  data: z.unknown(),
});
export const authorizationSchema: z.ZodType<{ readonly status: string }> = z.object({ status: z.string() });
export const listeningSchema: z.ZodType<{ readonly streams: string[] }> = z.object({
  streams: z.array(z.string()).default([]),
});
