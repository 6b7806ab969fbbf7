import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { jobOf, programOf, textOf } from '../conformance.ts';
import { InstancePool } from '../instance-pool.ts';
import { DenoSandbox } from './deno-sandbox.ts';

interface ProcessState {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  readonly state: string;
}

function processes(): ProcessState[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const text = readFileSync(`/proc/${name}/stat`, 'latin1');
        const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ');
        return [
          { pid: Number(name), parent: Number(parent), name: text.slice(text.indexOf('(') + 1, text.lastIndexOf(')')), state: state! },
        ];
      } catch {
        return [];
      }
    });
}

/** The processes that this one started, and those that they started. */
function descendants(of: number): ProcessState[] {
  const all = processes();
  const children = all.filter(({ parent }) => parent === of);
  return children.flatMap((child) => [child, ...descendants(child.pid)]);
}

const denos = (of: number) => descendants(of).filter(({ name, state }) => name === 'deno' && state !== 'Z');

/** Memory that a process shares with no other, MiB. */
function ownMiB(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kib = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)![1]);
  return (kib('Private_Clean') + kib('Private_Dirty')) / 1_024;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10);
}

describe.skipIf(process.platform !== 'linux')('processes of a sandbox (they are counted in /proc: Linux)', () => {
  it('gives each start a process of its own, and never a used one', async () => {
    const sandbox = new DenoSandbox({ spares: 1 });
    try {
      const program = programOf('globalThis.n = (globalThis.n ?? 0) + 1; export default () => globalThis.n');
      for (let i = 0; i < 3; i++) {
        const instance = await sandbox.start(program);
        expect(await textOf(await instance.invoke(jobOf(null)))).toBe('1');
        await instance.kill();
      }
    } finally {
      await sandbox.close();
    }
  });

  it('replaces a used spare in the background, and leaves nothing when it is closed', async () => {
    const sandbox = new DenoSandbox({ spares: 2 });
    try {
      await sandbox.probe();
      await until(() => denos(process.pid).length === 2);
      await sandbox.start(programOf('export default () => 1'));
      await until(() => denos(process.pid).length === 3);
    } finally {
      await sandbox.close();
    }
    await until(() => descendants(process.pid).every(({ name }) => !['deno', 'bwrap'].includes(name)));
  });

  it('leaves nothing when it is closed while processes are starting', async () => {
    const sandbox = new DenoSandbox({ spares: 3 });
    const starting = sandbox.start(programOf('export default () => 1')).catch(() => {});
    await sandbox.close();
    await starting;
    await sandbox.close();
    await until(() => descendants(process.pid).every(({ name }) => !['deno', 'bwrap'].includes(name)));
  });

  it('freezes an idle process, so that work left behind uses no CPU, and wakes it for the next job', async () => {
    const sandbox = new DenoSandbox({ spares: 0, freezeAfterMs: 10 });
    try {
      const instance = await sandbox.start(
        programOf('setInterval(() => { for (let i = 0; i < 1e6; i++); }, 1); export default (n) => n + 1'),
      );
      await instance.invoke(jobOf(1));
      await until(() => denos(process.pid).some(({ state }) => state === 'T'));
      expect(await textOf(await instance.invoke(jobOf(41)))).toBe('42');
    } finally {
      await sandbox.close();
    }
  });

  it('has an idle process give back what it no longer needs, and sleeps again: a warm hello keeps less than 20 MB', async () => {
    const sandbox = new DenoSandbox({ spares: 0, freezeAfterMs: 20, tidyAfterMs: 50 });
    try {
      const source = `
        export default (n) => { globalThis.held = Array.from({ length: n }, (_, i) => ('x'.repeat(1000) + i).split('')); return typeof gc }`;
      // Two, because pages that all share are no one's own.
      const instances = [await sandbox.start(programOf(source)), await sandbox.start(programOf(source))];
      for (const instance of instances) for (const n of [3_000, 0]) await instance.invoke(jobOf(n));
      expect(await textOf(await instances[0]!.invoke(jobOf(0)))).toBe('"undefined"');
      const pids = denos(process.pid).map(({ pid }) => pid);
      await until(() => pids.every((pid) => ownMiB(pid) < 20));
      await until(() => denos(process.pid).every(({ state }) => state === 'T'));
      expect(await textOf(await instances[1]!.invoke(jobOf(0)))).toBe('"undefined"');
    } finally {
      await sandbox.close();
    }
  });

  it('costs no process for a thousand functions that nobody calls, and none either a while after they were called', async () => {
    const sandbox = new DenoSandbox({ spares: 0 });
    const pool = new InstancePool({ memoryMiB: 4_096, idleMs: 300 }, { sandbox });
    const functions = Array.from({ length: 1_000 }, (_, i) => ({
      tenant: `function ${i}`,
      version: i.toString(16).padStart(64, '0'),
      concurrency: 4,
      memoryMiB: 128,
      load: () => Promise.resolve(programOf(`export default () => ${i}`)),
    }));
    try {
      await sandbox.probe();
      for (const each of functions) expect(pool.take(each)).toBeUndefined();
      expect([denos(process.pid), pool.usedMiB]).toEqual([[], 0]);
      const called = functions.filter((_, i) => i % 250 === 0);
      const leases = await Promise.all(called.map((each) => pool.acquire(each)));
      for (const [i, { instance }] of leases.entries()) expect(await textOf(await instance.invoke(jobOf(null)))).toBe(String(i * 250));
      expect(denos(process.pid)).toHaveLength(4);
      for (const lease of leases) lease.release();
      await until(() => denos(process.pid).length === 0);
      expect([pool.size, pool.usedMiB]).toEqual([0, 0]);
    } finally {
      await pool.close();
      await sandbox.close();
    }
  });

  it('lets the timers of a module run while calls follow each other as closely as they can', async () => {
    const sandbox = new DenoSandbox({ spares: 0 });
    try {
      const instance = await sandbox.start(programOf('let ticks = 0; setInterval(() => ticks++, 1); export default () => ticks'));
      let calls = 0;
      let ticks = 0;
      while (ticks < 5) {
        ticks = Number(await textOf(await instance.invoke(jobOf(null))));
        calls++;
      }
      expect(calls).toBeGreaterThan(5);
    } finally {
      await sandbox.close();
    }
  });

  it('takes its processes with it when the node is killed with -9', async () => {
    const module = new URL('./deno-sandbox.ts', import.meta.url).href;
    const script = `
      const { DenoSandbox } = await import(${JSON.stringify(module)});
      const sandbox = new DenoSandbox({ spares: 1 });
      const code = new TextEncoder().encode('export default () => { for (;;); }');
      const instance = await sandbox.start({ sha256: '0'.repeat(64), code, handler: 'auto', memoryMiB: 128, startTimeoutMs: 10000 });
      instance.invoke({ job: 'j', mode: 'event', method: 'POST', path: '/', headers: [], body: new Uint8Array(), timeoutMs: 60000, context: {} });
      setTimeout(() => console.log('up'), 20);
      setInterval(() => {}, 1000);`;
    const node = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await new Promise((resolve) => node.stdout.once('data', resolve));
      await until(() => denos(node.pid!).length === 2);
      const pids = new Set(descendants(node.pid!).map(({ pid }) => pid));
      node.kill('SIGKILL');
      await until(() => processes().every(({ pid, name, state }) => !pids.has(pid) || state === 'Z' || !['deno', 'bwrap'].includes(name)));
    } finally {
      node.kill('SIGKILL');
    }
  });

  it('runs with what the machine gives when bubblewrap is left out', async () => {
    const sandbox = new DenoSandbox({ spares: 0, without: ['namespaces', 'seccomp'] });
    try {
      expect((await sandbox.probe()).tier).toBe('process');
      const instance = await sandbox.start(programOf('export default () => 1'));
      expect(await textOf(await instance.invoke(jobOf(null)))).toBe('1');
    } finally {
      await sandbox.close();
    }
  });
});
