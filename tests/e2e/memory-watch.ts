import { cpuTimeUs, descendants, memoryUse } from '../../bench/measure/processes.ts';
import type { Network } from './network.ts';
import type { OrbProcess } from './orb-process.ts';

const lookEveryMs = 25;

interface Watched {
  readonly role: string;
  readonly startKiB: number;
  peakKiB: number;
}

/** Looks at the memory of every process of a network (super nodes, nodes, sandboxes) while something goes on. */
export class MemoryWatch {
  readonly #network: Network;
  readonly #processes = new Map<number, Watched>();
  readonly #others: () => readonly OrbProcess[];
  readonly #timer: NodeJS.Timeout;

  /** @param others processes beside those that the network knows, with what they have started */
  constructor(network: Network, others: () => readonly OrbProcess[] = () => []) {
    this.#network = network;
    this.#others = others;
    this.#look();
    this.#timer = setInterval(() => this.#look(), lookEveryMs);
  }

  /** The most that any one process has grown by, MiB. */
  get growthMiB(): number {
    return Math.max(...[...this.#processes.values()].map(growthOf));
  }

  /** The same of super node and nodes alone: what functions use is theirs. */
  get ownGrowthMiB(): number {
    return Math.max(...[...this.#processes.values()].filter(({ role }) => role !== 'sandbox').map(growthOf));
  }

  /** Processor time of all of them so far, milliseconds. */
  cpuMs(): number {
    return this.#pids().reduce((sum, [, pid]) => sum + (cpuTimeUs(pid) ?? 0), 0) / 1000;
  }

  /** Ends the watch. @returns its findings in words */
  stop(): string {
    clearInterval(this.#timer);
    this.#look();
    return [...this.#processes.values()]
      .filter(({ peakKiB }) => peakKiB > 10_240)
      .map((process) => `${process.role} ${(process.peakKiB / 1024).toFixed(0)} MiB (+${growthOf(process).toFixed(0)})`)
      .join(', ');
  }

  #look(): void {
    for (const [role, pid] of this.#pids()) {
      const rssKiB = memoryUse(pid).rssKiB;
      if (rssKiB === undefined) continue;
      const known = this.#processes.get(pid) ?? { role, startKiB: rssKiB, peakKiB: rssKiB };
      known.peakKiB = Math.max(known.peakKiB, rssKiB);
      this.#processes.set(pid, known);
    }
  }

  #pids(): (readonly [role: string, pid: number])[] {
    const nodes = [...this.#network.nodes.values(), ...this.#others()].filter(({ running }) => running);
    return [
      ['super node', this.#network.superNode.pid],
      ...nodes.flatMap(({ name, pid }) => [[name, pid] as const, ...descendants(pid).map((child) => ['sandbox', child.pid] as const)]),
    ];
  }
}

function growthOf({ startKiB, peakKiB }: Watched): number {
  return (peakKiB - startKiB) / 1024;
}
