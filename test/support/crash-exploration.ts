import { Explorer, type ExplorerOptions } from './crash-explorer.ts';
import type { CrashProgram } from './crash-programs.ts';
import { Restarts } from './crash-restarts.ts';
import { CrashRig } from './crash-rig.ts';

export interface Explored {
  readonly explorer: Explorer;
  /** The second crashes. */
  readonly second: Restarts;
}

/** Runs a program, crashes it everywhere, then starts again on some of what was found and crashes that everywhere too. */
export async function explore(
  program: CrashProgram,
  restartsEach: number,
  more: ExplorerOptions = {},
): Promise<Explored> {
  const options: ExplorerOptions = { ...program.options, ...more, disk: { ...program.options?.disk, ...more.disk } };
  const explorer = new Explorer(options);
  const restarts = new Restarts(Math.min(restartsEach, program.restartsMax ?? restartsEach), options);
  let rig: CrashRig | null = null;
  restarts.collect(explorer, () => rig);
  try {
    rig = await CrashRig.start(explorer, program.name);
    await program.run(rig);
    rig.finish();
  } catch (error) {
    explorer.fail(program.name, error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  await restarts.run(explorer);
  return { explorer, second: restarts };
}
