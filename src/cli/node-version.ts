import { ConfigError } from '../model/errors.ts';

/**
 * An older Node has no node:sqlite, or not all of what is used of it; npm only warns of that when it installs.
 * @throws ConfigError NODE_TOO_OLD
 */
export function assertNode(version: string = process.versions.node): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > 24 || (major === 24 && minor >= 11)) return;
  throw new ConfigError(
    'NODE_TOO_OLD',
    `this is Node ${version} (${process.execPath}), and Holdfast needs 24.11 or newer: put that first on the PATH`,
  );
}
