/**
 * Has `speak` called when the process exits by process.exit() or an uncaught exception, as the last thing this thread does. Returns
 * what takes it away again. A kill -9 or a power cut gives nobody a last word: what was acknowledged needs none.
 */
export function onExit(speak: () => void): () => void {
  const listener = (): void => speak();
  process.on('exit', listener);
  return () => {
    process.off('exit', listener);
  };
}
