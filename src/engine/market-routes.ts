import type { StrategyHost } from './strategy-host.ts';

/** Who hears the market events of an asset, worked out when strategies come and go, so that an event costs one look. */
export class MarketRoutes {
  #byAsset = new Map<string, readonly StrategyHost[]>();
  #everything: readonly StrategyHost[] = [];

  rebuild(hosts: Iterable<StrategyHost>): void {
    const all = [...hosts].filter(hearsMarket);
    this.#everything = all.filter(({ strategy }) => strategy.assets === undefined);
    const assets = new Set(all.flatMap(({ strategy }) => strategy.assets ?? []));
    this.#byAsset = new Map(
      [...assets].map((asset) => [
        asset,
        all.filter(({ strategy }) => strategy.assets === undefined || strategy.assets.includes(asset)),
      ]),
    );
  }

  hosts(asset: string): readonly StrategyHost[] {
    return this.#byAsset.get(asset) ?? this.#everything;
  }
}

function hearsMarket({ strategy }: StrategyHost): boolean {
  return strategy.onTrade !== undefined || strategy.onQuote !== undefined || strategy.onBar !== undefined;
}
