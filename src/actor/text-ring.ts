/*
 * Texts from one thread to one other, in order, through shared memory: what a message port does, at a fraction of what a post costs the
 * thread that sends, and without a system call while the other one is awake.
 *
 * R1  One writer and one reader. The writer alone moves `tail`, the reader alone moves `head`; what lies between is the reader's.
 * R2  A text is published by moving `tail` past it, once its bytes are there.
 * R3  The reader says that it sleeps, and then looks once more; the writer publishes, and then looks whether it sleeps. One of the two sees
 *     the other, so that no text lies there unseen.
 *
 * `head` and `tail` count bytes in 32 bits, overflow, and are taken modulo the capacity. A text lies in one piece: where the end of the memory is too
 * near, the rest is marked as skipped. Each has two numbers beside it, which mean what writer and reader agree on.
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
  const words = new Int32Array(memory, 0, wordsBytes / 4);
  words[asleepWord] = 1;
  // Soon to overflow, so that this happens in every use and not only in one that has lasted for 2 GiB.
  words[headWord] = 2 ** 31 - capacity;
  words[tailWord] = 2 ** 31 - capacity;
  return memory;
}

export class TextRingWriter {
  readonly #words: Int32Array;
  readonly #lengths: Int32Array;
  readonly #numbers: Float64Array;
  readonly #bytes: Buffer;
  readonly #capacity: number;
  #tail: number;
  /** As it was when this looked last: never ahead of the reader. */
  #head: number;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, wordsBytes / 4);
    this.#lengths = new Int32Array(memory, wordsBytes);
    this.#numbers = new Float64Array(memory, wordsBytes);
    this.#bytes = Buffer.from(memory, wordsBytes);
    this.#capacity = this.#bytes.length;
    this.#head = Atomics.load(this.#words, headWord);
    this.#tail = Atomics.load(this.#words, tailWord);
  }

  /** False, and nothing is written, where there is no room for a text of that length just now, or ever. */
  write(text: string, first: number, second: number): boolean {
    const most = frameBytes + 3 * text.length + 7;
    const begin = this.#tail & (this.#capacity - 1);
    const toEnd = this.#capacity - begin;
    const skip = toEnd < most ? toEnd : 0;
    if (!this.#hasRoom(skip + most)) return false;
    if (skip > 0) this.#lengths[begin >> 2] = skipped;
    const at = skip > 0 ? 0 : begin;
    const length = this.#bytes.write(text, at + frameBytes);
    this.#lengths[at >> 2] = length;
    this.#numbers[(at >> 3) + 1] = first;
    this.#numbers[(at >> 3) + 2] = second;
    this.#tail = (this.#tail + skip + spanOf(length)) | 0;
    Atomics.store(this.#words, tailWord, this.#tail);
    return true;
  }

  /** True once after each time that the reader went to sleep: then it has to be woken, by other means. */
  get isToWake(): boolean {
    if (Atomics.load(this.#words, asleepWord) === 0) return false;
    return Atomics.compareExchange(this.#words, asleepWord, 1, 0) === 1;
  }

  #hasRoom(bytes: number): boolean {
    if (bytes <= this.#capacity - ((this.#tail - this.#head) | 0)) return true;
    this.#head = Atomics.load(this.#words, headWord);
    return bytes <= this.#capacity - ((this.#tail - this.#head) | 0);
  }
}

export class TextRingReader {
  readonly #words: Int32Array;
  readonly #lengths: Int32Array;
  readonly #numbers: Float64Array;
  readonly #bytes: Buffer;
  readonly #capacity: number;
  #head: number;
  /** As it was when this looked last: never ahead of the writer. */
  #tail: number;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, wordsBytes / 4);
    this.#lengths = new Int32Array(memory, wordsBytes);
    this.#numbers = new Float64Array(memory, wordsBytes);
    this.#bytes = Buffer.from(memory, wordsBytes);
    this.#capacity = this.#bytes.length;
    this.#head = Atomics.load(this.#words, headWord);
    this.#tail = Atomics.load(this.#words, tailWord);
  }

  /** Whether there is a text. Looks at what the other thread has done only where everything known was taken. */
  get hasNext(): boolean {
    if (this.#head === this.#tail) this.#tail = Atomics.load(this.#words, tailWord);
    if (this.#head === this.#tail) return false;
    const at = this.#at;
    if (this.#lengths[at >> 2] === skipped) this.#head = (this.#head + this.#capacity - at) | 0;
    return true;
  }

  /** Beside the next text; only where there is one. */
  get first(): number {
    return this.#numbers[(this.#at >> 3) + 1] as number;
  }

  get second(): number {
    return this.#numbers[(this.#at >> 3) + 2] as number;
  }

  /** The next text; only where there is one. */
  take(): string {
    const begin = this.#at + frameBytes;
    const length = this.#lengths[this.#at >> 2] as number;
    const text = this.#bytes.toString('utf8', begin, begin + length);
    this.#head = (this.#head + spanOf(length)) | 0;
    Atomics.store(this.#words, headWord, this.#head);
    return text;
  }

  /** From here the writer has this reader woken. False where a text came meanwhile: then it is awake. */
  sleep(): boolean {
    Atomics.store(this.#words, asleepWord, 1);
    if (Atomics.load(this.#words, tailWord) === this.#head) return true;
    this.wake();
    return false;
  }

  /** It will look by itself. */
  wake(): void {
    Atomics.store(this.#words, asleepWord, 0);
  }

  get #at(): number {
    return this.#head & (this.#capacity - 1);
  }
}

/** What a text takes with its frame, so that the next one begins at a multiple of eight. */
function spanOf(length: number): number {
  return (frameBytes + length + 7) & ~7;
}
