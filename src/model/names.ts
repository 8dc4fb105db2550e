import { z } from 'zod';
import { ConfigError } from './errors.ts';

/** A strategy's name is part of file names: letters, digits, ".", "_" and "-", at most 100, beginning with a letter or digit. */
export const strategyNamePattern: RegExp = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** The book of what belongs to no strategy: positions, cash and orders that the broker has and nobody here owns. */
export const UNASSIGNED = 'UNASSIGNED';

/** An asset's name, unique within the account: printable ASCII without spaces, at most 64 ("AAPL", "BTC/USD", "BTCUSDT.spot"). */
export const assetPattern: RegExp = /^[\x21-\x7e]{1,64}$/;

/** A currency: "USD", "USDT", "BTC". */
export const currencyPattern: RegExp = /^[A-Z][A-Z0-9]{1,11}$/;

/** @throws ConfigError STRATEGY_NAME_INVALID */
export function assertStrategyName(name: string): void {
  if (typeof name === 'string' && strategyNamePattern.test(name) && !name.includes('..')) return;
  throw new ConfigError(
    'STRATEGY_NAME_INVALID',
    `strategy name ${JSON.stringify(String(name).slice(0, 120))}: expected 1 to 100 of A-Z a-z 0-9 . _ -, beginning with a letter or digit, without ".."`,
  );
}

export const strategyNameSchema: z.ZodType<string> = z
  .string()
  .regex(strategyNamePattern, 'expected 1 to 100 of A-Z a-z 0-9 . _ -, beginning with a letter or digit')
  .refine((name) => !name.includes('..'), 'must not contain ".."');
export const assetSchema: z.ZodType<string> = z
  .string()
  .regex(assetPattern, 'expected an asset name: 1 to 64 printable ASCII characters without spaces');
export const currencySchema: z.ZodType<string> = z
  .string()
  .regex(currencyPattern, 'expected a currency such as "USD": 2 to 12 of A-Z 0-9');
