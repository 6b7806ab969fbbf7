import { readFileSync } from 'node:fs';
import type { Container } from 'dockerode';
import type { ChannelUsage } from '../host/channel.ts';

/** How often the engine is asked where the kernel's own figures cannot be read. */
const askEveryMs = 1_000;

/** Reads what one container uses: from its control group where this process can, else from the engine, once a second. */
export class ContainerMeter {
  readonly #read: (() => ChannelUsage) | undefined;
  #last: ChannelUsage = { memoryKiB: 0, cpuUs: 0 };
  #timer: NodeJS.Timeout | undefined;

  /** @param pid the first process, as this computer counts; 0 where it runs elsewhere */
  constructor(container: Container, pid: number) {
    this.#read = controlGroup(pid);
    if (this.#read) return;
    this.#timer = setInterval(() => void this.#ask(container), askEveryMs).unref();
  }

  usage(): ChannelUsage {
    if (!this.#read) return this.#last;
    try {
      this.#last = this.#read();
    } catch {
      // It has ended: the last figures stand.
    }
    return this.#last;
  }

  close(): void {
    this.usage();
    clearInterval(this.#timer);
  }

  async #ask(container: Container): Promise<void> {
    try {
      const { memory_stats: memory, cpu_stats: cpu } = await container.stats({ stream: false, 'one-shot': true });
      this.#last = { memoryKiB: Math.round((memory.usage ?? 0) / 1024), cpuUs: Math.round(cpu.cpu_usage.total_usage / 1000) };
    } catch {
      // It has ended: the last figures stand.
    }
  }
}

/** Version 1 and 2 alike: memory that is not a cache of files, and the time of all processors. */
function controlGroup(pid: number): (() => ChannelUsage) | undefined {
  if (pid === 0 || process.platform !== 'linux') return undefined;
  try {
    const groups = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
    const read = versionTwo(groups) ?? versionOne(groups);
    read?.();
    return read;
  } catch {
    return undefined;
  }
}

function versionTwo(groups: string): (() => ChannelUsage) | undefined {
  const path = /^0::(\/.+)$/m.exec(groups)?.[1];
  if (path === undefined || path === '/' || /^\d+:memory:/m.test(groups)) return undefined;
  const folder = `/sys/fs/cgroup${path}`;
  return () => {
    const memory = readFileSync(`${folder}/memory.stat`, 'utf8');
    const cpu = readFileSync(`${folder}/cpu.stat`, 'utf8');
    return { memoryKiB: Math.round(field(memory, 'anon') / 1024), cpuUs: field(cpu, 'usage_usec') };
  };
}

function versionOne(groups: string): (() => ChannelUsage) | undefined {
  const memory = /^\d+:memory:(\/.+)$/m.exec(groups)?.[1];
  const cpu = /^\d+:(?:[\w,]*,)?cpuacct(?:,[\w,]*)?:(\/.+)$/m.exec(groups)?.[1];
  if (memory === undefined || cpu === undefined) return undefined;
  return () => ({
    memoryKiB: Math.round(field(readFileSync(`/sys/fs/cgroup/memory${memory}/memory.stat`, 'utf8'), 'total_rss') / 1024),
    cpuUs: Math.round(Number(readFileSync(`/sys/fs/cgroup/cpuacct${cpu}/cpuacct.usage`, 'utf8')) / 1000),
  });
}

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
}
