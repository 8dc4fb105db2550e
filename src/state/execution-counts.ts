/**
 * How many strategies know each execution. A map of a million entries holds the thread for a tenth of a second when it has to grow, so
 * that they are spread over many small ones.
 */
export class ExecutionCounts {
  readonly #parts: readonly Map<string, number>[] = Array.from({ length: partsCount }, () => new Map());

  has(executionId: string): boolean {
    return this.#part(executionId).has(executionId);
  }

  add(executionId: string): void {
    const part = this.#part(executionId);
    part.set(executionId, (part.get(executionId) ?? 0) + 1);
  }

  delete(executionId: string): void {
    const part = this.#part(executionId);
    const count = part.get(executionId) ?? 0;
    if (count > 1) part.set(executionId, count - 1);
    else part.delete(executionId);
  }

  #part(executionId: string): Map<string, number> {
    let hash = 0;
    // What ids of one venue differ in stands at their end.
    for (let at = Math.max(0, executionId.length - 16); at < executionId.length; at += 1) {
      hash = (Math.imul(hash, 31) + executionId.charCodeAt(at)) | 0;
    }
    return this.#parts[(hash ^ (hash >>> 16)) & (partsCount - 1)] as Map<string, number>;
  }
}

/** A power of two. */
const partsCount = 256;
