import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';

/** What a figure was measured on. */
export function machine(): Readonly<Record<string, string | number>> {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model.trim() ?? 'unknown',
    cpus: availableParallelism(),
    memory_mb: Math.round(totalmem() / 2 ** 20),
    platform: platform(),
    arch: arch(),
    kernel: release(),
    node: process.version,
    virtual: isVirtual() ? 'yes' : 'unknown',
  };
}

/** Whether the kernel sees that it runs under a hypervisor, where a disk's figures are somebody else's too. */
function isVirtual(): boolean {
  try {
    return /\bhypervisor\b/.test(readFileSync('/proc/cpuinfo', 'latin1'));
  } catch {
    return false;
  }
}
