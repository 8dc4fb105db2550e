import type { DeltaChannel } from './delta-channel.ts';
import type { HostBooks } from './host-books.ts';

/** When what is committed leaves this thread: one post at the end of a turn, and none while too much is unacknowledged. */
export class Posting {
  readonly #books: HostBooks;
  readonly #channel: DeltaChannel;
  /** Called after each turn that had something to post and room for it. */
  readonly #posted: () => void;
  #scheduled = false;
  readonly #post = (): void => this.post();

  constructor(books: HostBooks, channel: DeltaChannel, posted: () => void) {
    this.#books = books;
    this.#channel = channel;
    this.#posted = posted;
  }

  /** At the end of this turn of the event loop, once. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#post);
  }

  /** There is room again: what had to wait leaves now. */
  resume(): void {
    if (this.#books.dirtySinceMs !== null && !this.#scheduled) this.post();
  }

  /** Now, where there is room; what has to wait conflates with what comes. */
  post(): void {
    this.#scheduled = false;
    if (!this.#channel.hasRoom) return;
    this.#send(false);
    this.#posted();
  }

  /** Everything committed, with last prices, whatever the bounds say: one post for each checkpoint. Returns its sequence. */
  postAll(): number {
    this.#send(true);
    return this.#books.sequence;
  }

  /** Everything committed, whatever the bounds say: for the end of the process. Returns the last sequence that was sent. */
  postLast(): number {
    this.#send(false);
    return this.#channel.sentSequence;
  }

  #send(sampleMarks: boolean): void {
    const post = this.#books.takePost(sampleMarks);
    if (post !== null) this.#channel.send(post);
  }
}
