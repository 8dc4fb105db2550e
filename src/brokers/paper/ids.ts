/** Where a paper exchange takes its ids from: the same seed gives the same ids in the same order. */
export interface PaperIds {
  uuid(): string;
  /**
   * Names one execution. Activity ids sort as text in the order in which they were made, also within one millisecond and also
   * when the clock goes back. The execution id is the part after "::", and is what the stream of order updates tells.
   */
  execution(atMicros: number): { readonly activity_id: string; readonly execution_id: string };
}

export function paperIds(seed: number): PaperIds {
  const next = randomWords(seed);
  let count = 0;
  let lastMs = Number.NEGATIVE_INFINITY;
  return {
    uuid: () => formatUuid(hex(next()), next),
    execution(atMicros) {
      count += 1;
      lastMs = Math.max(lastMs, Math.floor(atMicros / 1000));
      // The counter comes first so that executions of one millisecond sort; the rest keeps exchanges apart from each other.
      const execution_id = formatUuid(hex(count), next);
      return { activity_id: `${compactTime(lastMs)}::${execution_id}`, execution_id };
    },
  };
}

/** A name's UUID-shaped id, always the same for the same name (FNV-1a over it seeds the words). */
export function uuidOf(name: string): string {
  let hash = 0x811c9dc5;
  for (const character of name) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  const next = randomWords(hash >>> 0);
  return formatUuid(hex(next()), next);
}

function formatUuid(first: string, next: () => number): string {
  const second = hex(next());
  const third = hex(next());
  const variant = ((Number.parseInt(third.charAt(0), 16) & 3) | 8).toString(16);
  return `${first}-${second.slice(0, 4)}-4${second.slice(5)}-${variant}${third.slice(1, 4)}-${third.slice(4)}${hex(next())}`;
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}

function compactTime(ms: number): string {
  return new Date(ms).toISOString().replaceAll(/[^0-9]/g, '');
}

/** Mulberry32: small, fast, and good enough to tell paper orders apart. */
function randomWords(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return (word ^ (word >>> 14)) >>> 0;
  };
}
