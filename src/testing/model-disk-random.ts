/** Uniform numbers in [0, 1), always the same ones for the same seed (splitmix32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

/**
 * Which of `count` independent things happened, as bit masks: every subset where there are at most `most` of them. Otherwise the
 * telling ones (none, all, each prefix, one alone, all but one) and seeded others up to `most`. Of more than 30 the first 30 vary
 * and the rest share one fate, so that a mask stays an integer.
 */
export function subsets(count: number, most: number, random: () => number): readonly number[] {
  const bits = Math.min(count, 30);
  const all = 2 ** bits - 1;
  if (2 ** bits <= most) return Array.from({ length: 2 ** bits }, (_, mask) => mask);
  const masks = new Set([0, all]);
  for (let bit = 0; bit < bits; bit += 1) {
    masks.add(2 ** bit - 1);
    masks.add(2 ** bit);
    masks.add(all - 2 ** bit);
  }
  while (masks.size < most) masks.add(Math.floor(random() * 2 ** bits));
  return [...masks];
}

/** Whether a mask of {@link subsets} has the thing at `index`. */
export function has(mask: number, index: number): boolean {
  return (mask & (1 << Math.min(index, 29))) !== 0;
}
