import { readFileSync } from 'node:fs';
import { arch, availableParallelism, platform, totalmem, uptime } from 'node:os';

/** What this computer is. */
export interface Machine {
  /** As Node names it: `linux`, `darwin`, `win32`. */
  readonly platform: string;
  readonly architecture: string;
  readonly cores: number;
  readonly memoryMiB: number;
  /** Names this boot. */
  readonly boot: string;
}

export function thisMachine(): Machine {
  return {
    platform: platform(),
    architecture: arch(),
    cores: availableParallelism(),
    memoryMiB: Math.floor(totalmem() / (1024 * 1024)),
    boot: bootName(),
  };
}

function bootName(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    // Elsewhere the minute of the boot has to do; a clock that was set looks like another boot, which costs only numbers.
    return `minute ${Math.round((Date.now() / 1000 - uptime()) / 60)}`;
  }
}
