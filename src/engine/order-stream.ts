import type { BrokerAdapter, StreamConnection } from '../brokers/adapter.ts';
import type { FillReport, OrderReport } from '../model/report.ts';
import type { Alerter } from './alert.ts';

export interface OrderStreamOptions {
  readonly broker: BrokerAdapter;
  readonly alert: Alerter;
  /** Takes an update; false where there is no place for it. */
  readonly take: (report: OrderReport, fill: FillReport | null) => boolean;
  readonly catchUp: () => void;
  /** The stream is back after a gap. */
  readonly back: () => void;
}

/**
 * The stream of order updates. What it says is held until {@link release}, when the engine is ready to book it; after a gap, and where
 * there was no place for an update, what it should have told is read from the broker.
 */
export class OrderStream {
  readonly #options: OrderStreamOptions;
  #connection: StreamConnection | null = null;
  #held: [OrderReport, FillReport | null][] | null = [];
  #closed = false;

  constructor(options: OrderStreamOptions) {
    this.#options = options;
  }

  /** True until the engine books what the stream says. */
  get isHeld(): boolean {
    return this.#held !== null;
  }

  async open(): Promise<void> {
    const connection = await this.#options.broker.connect({
      // What came before is read by whoever starts; later ones tell of a gap.
      connected: () => {
        if (this.#held === null) this.#options.back();
      },
      update: (report, fill) => this.#update(report, fill),
      disconnected: (reason) => {
        this.#options.alert('warn', 'BROKER_DISCONNECTED', `the stream of order updates is down: ${reason}`);
      },
    });
    this.#connection = connection;
    // It opened after whoever waited for it had given up.
    if (this.#closed) await connection.close();
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const [report, fill] of held) this.#update(report, fill);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#connection?.close();
  }

  #update(report: OrderReport, fill: FillReport | null): void {
    if (this.#held !== null) this.#held.push([report, fill]);
    else if (!this.#options.take(report, fill)) {
      const message = 'too many events wait: an order update was left out and is read again';
      this.#options.alert('warn', 'UPDATES_DROPPED', message);
      this.#options.catchUp();
    }
  }
}
