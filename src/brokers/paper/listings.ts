import { type Decimal, type DecimalString, decimal } from '../../model/money.ts';
import { uuidOf } from './ids.ts';
import type { CheckedOptions, ListedAsset } from './options.ts';
import { refuse } from './refusals.ts';

/** What can be traded, and what it last cost. */
export class Listings {
  readonly #assets: Map<string, ListedAsset>;
  readonly #list: CheckedOptions['list'];
  readonly #prices = new Map<string, DecimalString>();

  constructor(options: CheckedOptions) {
    this.#assets = new Map(options.assets);
    this.#list = options.list;
  }

  get(name: string): ListedAsset | undefined {
    return this.#assets.get(name);
  }

  /** By its name, by its id, or by a pair's name without the slash, as positions are told. */
  find(symbol: string): ListedAsset | undefined {
    const named = this.#assets.get(symbol);
    if (named !== undefined) return named;
    return this.all().find(({ name }) => name.replace('/', '') === symbol || uuidOf(name) === symbol);
  }

  all(): readonly ListedAsset[] {
    return [...this.#assets.values()];
  }

  /** @throws BrokerError BROKER_REJECTED where it is not listed */
  listed(name: string): ListedAsset {
    const asset = this.#assets.get(name);
    if (asset !== undefined) return asset;
    throw refuse('unknown_asset', `asset "${name}" not found`, { symbol: String(name).slice(0, 64) });
  }

  /** Lists it where it is not, in the account's currency, and keeps its price where there is one. */
  moved(name: string, price: DecimalString | null): void {
    if (!this.#assets.has(name)) this.#assets.set(name, this.#list(name));
    if (price !== null) this.#prices.set(name, price);
  }

  price(name: string): Decimal | null {
    const price = this.#prices.get(name);
    return price === undefined ? null : decimal(price);
  }
}
