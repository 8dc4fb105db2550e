/*
 * Texts from one thread to one other, in order, through shared memory: what a message port does, at a fraction of what a post costs the
 * thread that sends, and without a system call while the other one is awake.
 *
 * R1  One writer and one reader. The writer alone moves `tail`, the reader alone moves `head`; what lies between is the reader's.
 * R2  A text is published by moving `tail` past it, once its bytes are there.
 * R3  The reader says that it sleeps, and then looks once more; the writer publishes, and then looks whether it sleeps. One of the two sees
 *     the other, so that no text lies there unseen.
 *
 * `head` and `tail` count bytes in 32 bits, overflow, and are taken modulo the capacity. A text lies in one piece: where the end of the
 * memory is too near, the rest is marked as skipped. Beside it stand two numbers, for a writer that has another way to the same reader: its
 * place in the order of everything that goes either way, and the place of the last that went the other way before it.
 */

const tailWord = 0;
const headWord = 16;
const asleepWord = 32;
const wordsBytes = 256;
/** Length, padding, and two numbers. */
const frameBytes = 24;
const skipped = -1;

/** @param capacity in bytes, a power of two */
export function createTextRing(capacity: number): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(wordsBytes + capacity);
  const { words } = viewsOf(memory);
  words[asleepWord] = 1;
  // Soon to overflow, so that this happens in every use and not only in one that has lasted for 2 GiB.
  words[headWord] = 2 ** 31 - capacity;
  words[tailWord] = 2 ** 31 - capacity;
  return memory;
}

interface Views {
  readonly words: Int32Array;
  readonly lengths: Int32Array;
  readonly numbers: Float64Array;
  readonly bytes: Buffer;
}

function viewsOf(memory: SharedArrayBuffer): Views {
  return {
    words: new Int32Array(memory, 0, wordsBytes / 4),
    lengths: new Int32Array(memory, wordsBytes),
    numbers: new Float64Array(memory, wordsBytes),
    bytes: Buffer.from(memory, wordsBytes),
  };
}

export class TextRingWriter {
  readonly #views: Views;
  readonly #capacity: number;
  #tail: number;
  /** As it was when this looked last: never ahead of the reader. */
  #head: number;

  constructor(memory: SharedArrayBuffer) {
    this.#views = viewsOf(memory);
    this.#capacity = this.#views.bytes.length;
    this.#head = Atomics.load(this.#views.words, headWord);
    this.#tail = Atomics.load(this.#views.words, tailWord);
  }

  /** False, and nothing is written, where there is no room for a text of that length just now, or ever. */
  write(text: string, place: number, after: number): boolean {
    const most = frameBytes + 3 * text.length + 7;
    const begin = this.#tail & (this.#capacity - 1);
    const toEnd = this.#capacity - begin;
    const skip = toEnd < most ? toEnd : 0;
    if (!this.#hasRoom(skip + most)) return false;
    if (skip > 0) this.#views.lengths[begin >> 2] = skipped;
    const at = skip > 0 ? 0 : begin;
    const length = this.#views.bytes.write(text, at + frameBytes);
    this.#views.lengths[at >> 2] = length;
    this.#views.numbers[(at >> 3) + 1] = place;
    this.#views.numbers[(at >> 3) + 2] = after;
    this.#tail = (this.#tail + skip + spanOf(length)) | 0;
    Atomics.store(this.#views.words, tailWord, this.#tail);
    return true;
  }

  /** Call after what was written. True once after each time that the reader went to sleep: then the caller has to wake it, by other means. */
  claimWake(): boolean {
    if (Atomics.load(this.#views.words, asleepWord) === 0) return false;
    return Atomics.compareExchange(this.#views.words, asleepWord, 1, 0) === 1;
  }

  #hasRoom(bytes: number): boolean {
    if (bytes <= this.#capacity - ((this.#tail - this.#head) | 0)) return true;
    this.#head = Atomics.load(this.#views.words, headWord);
    return bytes <= this.#capacity - ((this.#tail - this.#head) | 0);
  }
}

export class TextRingReader {
  readonly #views: Views;
  readonly #capacity: number;
  #head: number;
  /** As it was when this looked last: never ahead of the writer. */
  #tail: number;

  constructor(memory: SharedArrayBuffer) {
    this.#views = viewsOf(memory);
    this.#capacity = this.#views.bytes.length;
    this.#head = Atomics.load(this.#views.words, headWord);
    this.#tail = Atomics.load(this.#views.words, tailWord);
  }

  /** Whether there is a text. Looks at what the other thread has done only where everything known was taken. */
  get hasNext(): boolean {
    if (this.#head === this.#tail) this.#tail = Atomics.load(this.#views.words, tailWord);
    if (this.#head === this.#tail) return false;
    const at = this.#at;
    if (this.#views.lengths[at >> 2] === skipped) this.#head = (this.#head + this.#capacity - at) | 0;
    return true;
  }

  /** Of the next text; only where there is one. */
  get place(): number {
    return this.#views.numbers[(this.#at >> 3) + 1] as number;
  }

  /** Of the next text; only where there is one. */
  get after(): number {
    return this.#views.numbers[(this.#at >> 3) + 2] as number;
  }

  /** The next text; only where there is one. */
  take(): string {
    const begin = this.#at + frameBytes;
    const length = this.#views.lengths[this.#at >> 2] as number;
    const text = this.#views.bytes.toString('utf8', begin, begin + length);
    this.#head = (this.#head + spanOf(length)) | 0;
    Atomics.store(this.#views.words, headWord, this.#head);
    return text;
  }

  /** From here the writer has this reader woken. False where a text came meanwhile: then it is awake. */
  sleep(): boolean {
    Atomics.store(this.#views.words, asleepWord, 1);
    if (Atomics.load(this.#views.words, tailWord) === this.#head) return true;
    this.wake();
    return false;
  }

  /** It will look by itself. */
  wake(): void {
    Atomics.store(this.#views.words, asleepWord, 0);
  }

  get #at(): number {
    return this.#head & (this.#capacity - 1);
  }
}

/** What a text takes with its frame, so that the next one begins at a multiple of eight. */
function spanOf(length: number): number {
  return (frameBytes + length + 7) & ~7;
}
