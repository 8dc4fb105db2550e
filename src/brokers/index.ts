/** Brokers: the contract, the Alpaca Trading API, and the paper exchange with its server. */
export type {
  ActivityCursor,
  ActivityPage,
  ActivityReport,
  BrokerAdapter,
  BrokerCapabilities,
  BrokerFactory,
  BrokerSpec,
  CallOptions,
  FillPage,
  OrderReference,
  OrderRequest,
  ReplaceRequest,
  StreamConnection,
  StreamListener,
} from './adapter.ts';
export { createBroker as createAlpacaBroker } from './alpaca/adapter.ts';
export type { AlpacaOptions } from './alpaca/options.ts';
export { loadBroker } from './load.ts';
export type { PaperActivity, PaperActivityRequest, PaperActivityType } from './paper/activities.ts';
export { createBroker as createPaperBroker, PaperBroker } from './paper/adapter.ts';
export type { PaperListener } from './paper/announcer.ts';
export { PaperExchange, type PaperReplaceRequest } from './paper/exchange.ts';
export {
  type BrokerOperation,
  brokerOperations,
  type Misbehavior,
  type MisbehaviorKind,
  misbehaviorKinds,
} from './paper/faults.ts';
export type { PaperKeys } from './paper/http.ts';
export { type MarketFeedOptions, marketFeed } from './paper/market-feed.ts';
export type { PaperAsset, PaperExchangeOptions } from './paper/options.ts';
export type { PaperFill, PaperOrder, PaperUpdate } from './paper/orders.ts';
export { type PaperServer, type PaperServerOptions, startPaperServer } from './paper/server.ts';
export type { TapeStatus } from './paper/tape-player.ts';
