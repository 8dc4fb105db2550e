/**
 * Holdfast: crash-safe state for live trading engines. Importing this starts nothing: threads begin with StateManager.open(), and
 * with the first reconciliation.
 */
export type { BrokerAdapter, BrokerSpec } from './brokers/adapter.ts';
export { loadBroker } from './brokers/load.ts';
export type { Alert, AlertCode } from './engine/alert.ts';
export {
  type AlertMessage,
  type AlertWebhook,
  type AlertWebhookOptions,
  alertWebhook,
} from './engine/alert-webhook.ts';
export { DecimalLedger } from './engine/decimal-ledger.ts';
export type { LiveTradingEngineEvents, LiveTradingEngineOptions, StartReport } from './engine/engine-options.ts';
export { type Feed, merge, type ReplayOptions, replay } from './engine/feed.ts';
export { type Instrument, type InstrumentSettings, Instruments } from './engine/instrument.ts';
export { LiveTradingEngine } from './engine/live-trading-engine.ts';
export { OrderManager } from './engine/order-manager.ts';
export type { Phase } from './engine/phases.ts';
export type { NewOrder, OrderChange, Strategy, StrategyContext, StrategyFactory } from './engine/strategy.ts';
export { openTape, type TapeOptions } from './engine/tape.ts';
export type { SnapshotDelta, StrategyDelta } from './model/delta.ts';
export {
  BrokerError,
  CheckpointCorrupted,
  ConfigError,
  FeedError,
  HoldfastError,
  ReconciliationError,
  StateError,
  StrategyError,
} from './model/errors.ts';
export type { Halt, StateEvent } from './model/event.ts';
export type { Fill } from './model/fill.ts';
export type { JsonObject, JsonValue } from './model/json.ts';
export type { Bar, MarketEvent, Quote, Trade } from './model/market.ts';
export { Decimal, type DecimalString, decimal, decimalString } from './model/money.ts';
export { UNASSIGNED } from './model/names.ts';
export type { OrderSnapshot, OrderStatus, OrderType, TimeInForce } from './model/order.ts';
export type { PositionSnapshot } from './model/position.ts';
export type { Recovery, RecoveryLoss, RecoveryUse } from './model/recovery.ts';
export type { AccountReport, FillReport, OrderReport, PositionReport } from './model/report.ts';
export type { BrokerCursor, Snapshot, StateCheckpoint, StrategySnapshot } from './model/snapshot.ts';
export { type Clock, systemClock, type Timestamp } from './model/time.ts';
export type { ReconciliationOptions } from './reconciliation/options.ts';
export { renderReport } from './reconciliation/render.ts';
export type {
  Discrepancy,
  DiscrepancyKind,
  PlanAction,
  ReconciliationPlan,
  ReconciliationPolicy,
  ReconciliationReport,
} from './reconciliation/types.ts';
export type { AssetTotals, HostState, HostStateEvents, StateToSave, StrategyState } from './state/host-state.ts';
export { PositionReconciler, type PositionReconcilerOptions } from './state/position-reconciler.ts';
export { onShutdownSignals, type ShutdownOptions } from './state/shutdown-signals.ts';
export { StateManager } from './state/state-manager.ts';
export type { AuditStateOptions, StateManagerOptions } from './state/state-options.ts';
