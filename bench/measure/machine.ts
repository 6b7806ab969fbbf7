import { readFileSync } from 'node:fs';
import { arch, cpus, platform, release, totalmem } from 'node:os';

/** What the figures were measured on. Nothing in it names or locates the machine. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
}

export function describeMachine(): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${distribution()} (${platform()} ${release().split('-', 1)[0]}, ${arch()})`,
    node: process.versions.node,
  };
}

function distribution(): string {
  try {
    return /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? platform();
  } catch {
    return platform();
  }
}

/**
 * Thousands of turns a second of a fixed loop of integer work on one core, measured for about 50 ms. It is run between the
 * rounds; how far it moves says how much of a figure's spread is the machine's and not the row's.
 */
export function probeSpeed(): number {
  const turns = 20_000;
  const started = performance.now();
  let done = 0;
  let state = 1;
  while (performance.now() - started < 50) {
    for (let turn = 0; turn < turns; turn++) state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    done += turns;
  }
  // Reading the state keeps the loop from being optimised away.
  return state === -1 ? 0 : done / (performance.now() - started);
}
