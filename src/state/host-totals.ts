import { AssetSums } from './asset-sums.ts';
import { ExecutionCounts } from './execution-counts.ts';

/** What the live entries of all strategies of a host come to, staged ones included. Each entry that changes is told here. */
export class HostTotals {
  /** How many strategies hold each asset. */
  readonly held: Map<string, number> = new Map();
  readonly executions: ExecutionCounts = new ExecutionCounts();
  /** Of the assets that anybody asked about: nothing is added up for nobody. */
  readonly assets: Map<string, AssetSums> = new Map();
  /** Of all state values, keys included. */
  stateBytes = 0;

  /** @param addAll adds all entries of the asset that there are: called when it is asked about for the first time */
  asset(asset: string, addAll: (sums: AssetSums) => void): AssetSums {
    let sums = this.assets.get(asset);
    if (sums === undefined) {
      sums = new AssetSums();
      addAll(sums);
      this.assets.set(asset, sums);
    }
    return sums;
  }
}
