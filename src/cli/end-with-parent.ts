/**
 * A child of the demo ends when the demo does, however that ends: its standard input is a pipe that nobody writes to and that closes
 * with its parent. Only for whoever asks for it by the environment, because an engine must outlive the shell that started it.
 */
export function endWithParent(env: NodeJS.ProcessEnv = process.env): void {
  if (env[endWithParentVariable] !== '1') return;
  const end = (): boolean => process.kill(process.pid, 'SIGKILL');
  for (const over of ['end', 'close', 'error']) process.stdin.once(over, end);
  process.stdin.resume();
  // A file, unlike a pipe, keeps nothing alive and cannot be told so.
  process.stdin.unref?.();
}

export const endWithParentVariable = 'HOLDFAST_END_WITH_PARENT';
