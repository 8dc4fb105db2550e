import { decimal } from '../model/money.ts';
import { UNASSIGNED } from '../model/names.ts';
import type { AssetTotals, HostState, StrategyState } from '../state/host-state.ts';
import type { ClientOrderIds } from './client-order-id.ts';

/** The books of one account: each strategy's, those of strategies that do not run now, and what belongs to nobody. */
export class Books {
  /** The book of what belongs to no strategy. Its cursor and its halt are those of the account. */
  readonly unassigned: StrategyState;
  readonly #state: HostState;
  readonly #ids: ClientOrderIds;
  readonly #byName = new Map<string, StrategyState>();

  constructor(state: HostState, ids: ClientOrderIds) {
    this.#state = state;
    this.#ids = ids;
    this.unassigned = this.register(UNASSIGNED);
    for (const name of state.strategies()) this.register(name);
  }

  register(name: string): StrategyState {
    let book = this.#byName.get(name);
    if (book === undefined) {
      book = this.#state.register(name);
      this.#byName.set(name, book);
      if (name !== UNASSIGNED) this.#ids.know(name);
    }
    return book;
  }

  get(name: string): StrategyState | undefined {
    return this.#byName.get(name);
  }

  all(): IterableIterator<StrategyState> {
    return this.#byName.values();
  }

  /**
   * True where no book holds anything, and the account was never opened in them. A life that ended before it had read the account
   * leaves empty books on the disk, and they are as new as none.
   */
  get areNew(): boolean {
    const { activity_id, at } = this.unassigned.cursor();
    return activity_id === null && at === null && [...this.all()].every(isEmpty);
  }

  /**
   * Whether any book has the execution. One does not suffice: a broker may list an execution without our order id, and by then the
   * order has ended and only the book that has it remembers.
   */
  haveExecution(executionId: string): boolean {
    return this.#state.hasExecution(executionId);
  }

  /** What all books together have in an asset. The venue sees nothing else. */
  inAsset(asset: string): AssetTotals {
    return this.#state.inAsset(asset);
  }

  /** Whose order an id says it is; what is not ours is UNASSIGNED. */
  ownerOf(orderId: string | null): StrategyState {
    const owner = orderId === null ? undefined : this.#ids.owner(orderId);
    return (owner === undefined ? undefined : this.#byName.get(owner)) ?? this.unassigned;
  }
}

/** Whether a book holds no cash, position, order or state. */
export function isEmpty(book: StrategyState): boolean {
  const hasCash = Object.values(book.allCash()).some((amount) => !decimal(amount).isZero());
  return !hasCash && book.positions().length === 0 && book.orders().length === 0 && book.keys().length === 0;
}
