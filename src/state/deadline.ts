/** A moment after which nobody waits any more. While it is not cancelled it keeps the process alive until it has passed. */
export interface Deadline {
  readonly ms: number;
  readonly hasPassed: boolean;
  readonly passed: Promise<'passed'>;
  cancel(): void;
}

export function deadlineAfter(ms: number): Deadline {
  let hasPassed = false;
  const { promise, resolve } = Promise.withResolvers<'passed'>();
  const timer = setTimeout(() => {
    hasPassed = true;
    resolve('passed');
  }, ms);
  return {
    ms,
    get hasPassed() {
      return hasPassed;
    },
    passed: promise,
    cancel: () => clearTimeout(timer),
  };
}
