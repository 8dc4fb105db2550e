import { configJsonSchema } from './config.ts';
import { type ExitCode, writeJson } from './output.ts';

/** Prints the JSON schema of the configuration, for editors that check and complete it. */
export function configSchema(): ExitCode {
  writeJson(configJsonSchema());
  return 0;
}
