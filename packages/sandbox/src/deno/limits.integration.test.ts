import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { jobOf, programOf, textOf } from '../conformance.ts';
import type { LentLimits } from '../port.ts';
import { ControlGroups } from './control-groups.ts';
import { DenoSandbox } from './deno-sandbox.ts';
import type { Layers } from './launch-plan.ts';

const trial = ControlGroups.open({ cores: 1 });
const controllers = trial?.controllers ?? [];
const version = trial?.version;
trial?.close();
const reason = controllers.length < 3 ? 'this process may make no control groups for memory, cpu and pids' : undefined;
const lent: LentLimits = {
  cores: 64,
  memoryMiB: 2_048,
  priority: 'normal',
  imageDiskMiB: 1,
  containerCores: 1,
  containerRuntime: undefined,
  onlyListedRegistries: false,
};

let sandbox: DenoSandbox | undefined;
afterEach(async () => {
  await sandbox?.close();
  sandbox = undefined;
});
const open = (...without: (keyof Layers)[]) => (sandbox = new DenoSandbox({ spares: 0, without }));
const bufferBomb = `export default () => { const all = []; for (;;) { const b = new Uint8Array(4 << 20); for (let i = 0; i < b.length; i += 4096) b[i] = 1; all.push(b); } }`;

describe.skipIf(reason !== undefined)(`control groups ${reason ? `(${reason})` : `(v${version}) alone`}`, () => {
  it('stop a memory bomb where nobody watches, and the caller is told', async () => {
    const other = await open('watch', 'limits').start(programOf('export default (n) => n + 1'));
    const instance = await sandbox!.start(programOf(bufferBomb));
    const usage = await (await instance.invoke(jobOf(null, { timeoutMs: 30_000 }))).finished;
    expect(usage).toMatchObject({ outcome: 'out-of-memory', error: expect.stringMatching(/memory/) as string });
    expect(await textOf(await other.invoke(jobOf(1)))).toBe('2');
  });

  it('stop a thread bomb where every other wall is down', async () => {
    const instance = await open('permissions', 'namespaces', 'seccomp', 'limits', 'ownUser', 'watch').start(
      programOf(`export default async () => { const all = []; try { for (let i = 0; i < 400; i++) {
        all.push(new Deno.Command('/bin/sleep', { args: ['5'], stdout: 'null', stderr: 'null' }).spawn()); } return 'all ' + all.length; }
        catch (error) { return error.message; } finally { for (const one of all) try { one.kill('SIGKILL'); } catch {} } }`),
    );
    expect(await textOf(await instance.invoke(jobOf(null, { timeoutMs: 30_000 })))).toMatch(/temporarily unavailable|EAGAIN/i);
  });

  it('hold all functions together to the cores that are lent', async () => {
    const burn = `export default (ms) => { const until = Date.now() + ms; let n = 0; while (Date.now() < until) n++; return n; }`;
    await open().limit({ ...lent, cores: 0.5 });
    const instances = await Promise.all([sandbox!.start(programOf(burn)), sandbox!.start(programOf(burn))]);
    const before = sandbox!.cpuUs();
    const sinceMs = performance.now();
    await Promise.all(instances.map(async (instance) => textOf(await instance.invoke(jobOf(2_000, { timeoutMs: 30_000 })))));
    const share = (sandbox!.cpuUs() - before) / 1_000 / (performance.now() - sinceMs);
    // Two that would use two cores have half a one, and what ran at either end of a period.
    expect(share).toBeLessThan(0.65);
  });

  it('end whatever a process has started, where every other wall is down', async () => {
    const instance = await open('permissions', 'namespaces', 'seccomp', 'limits', 'ownUser', 'watch').start(
      programOf(
        `export default () => new Deno.Command('/usr/bin/setsid', { args: ['sleep', '1000'], stdin: 'null', stdout: 'null', stderr: 'null' }).spawn().pid`,
      ),
    );
    const pid = Number(await textOf(await instance.invoke(jobOf(null))));
    expect(isThere(pid)).toBe(true);
    await instance.kill();
    await expect.poll(() => isThere(pid), { timeout: 10_000 }).toBe(false);
  });

  it('stand below this process’s own, and are gone when the sandbox is closed', async () => {
    await open().start(programOf('export default () => 1'));
    const own = () =>
      readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .flatMap((line) => (line.includes(' - cgroup') ? [line.split(' ')[4]!] : []))
        .flatMap((mount) => readdirSync(mount, { recursive: true, encoding: 'utf8' }))
        .filter((path) => basename(path).startsWith(`orb-${process.pid}-`));
    expect(own()).not.toEqual([]);
    await sandbox!.close();
    await expect.poll(own, { timeout: 10_000 }).toEqual([]);
  });
});

describe.skipIf(process.platform !== 'linux' || availableParallelism() < 2)('lent cores without control groups', () => {
  const burn = `export default (ms) => { const until = Date.now() + ms; let n = 0; while (Date.now() < until) n++; return n; }`;
  const processors = () =>
    ownDenos().flatMap((pid) =>
      readdirSync(`/proc/${pid}/task`).map(
        (task) => /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8'))?.[1],
      ),
    );

  it('are held by affinity, all functions together, those that run already too', async () => {
    await open('groups', 'watch').limit(lent);
    const { layers } = await sandbox!.probe();
    expect(layers.find(({ name }) => name.startsWith('lent cores'))).toMatchObject({ name: 'lent cores (affinity)', active: true });
    const instances = [await sandbox!.start(programOf(burn))];
    const before = new Set(processors());
    await sandbox!.limit({ ...lent, cores: 1.5 });
    instances.push(await sandbox!.start(programOf(burn)));
    const held = new Set(processors());
    expect([held.size, [...held].join()]).toEqual([1, expect.stringMatching(/^\d+$/)]);
    const cpuBefore = sandbox!.cpuUs();
    const sinceMs = performance.now();
    await Promise.all(instances.map(async (instance) => textOf(await instance.invoke(jobOf(1_000, { timeoutMs: 30_000 })))));
    // Two that would use two cores have one, and what the engine's own threads did.
    expect((sandbox!.cpuUs() - cpuBefore) / 1_000 / (performance.now() - sinceMs)).toBeLessThan(1.15);
    await sandbox!.limit(lent);
    expect(new Set(processors())).toEqual(before);
  });

  it('below one are refused in clear words, and what held before goes on', async () => {
    await open('groups').limit({ ...lent, cores: 1 });
    await expect(sandbox!.limit({ ...lent, cores: 0.5 })).rejects.toMatchObject({
      code: 'not-supported',
      message: expect.stringMatching(/cannot be held to 0.5 of the \d+ cores/) as string,
      hint: expect.stringMatching(/orb node set cores/) as string,
    });
    await sandbox!.start(programOf(burn));
    expect(new Set(processors()).size).toBe(1);
  });
});

describe('the owner’s priority', () => {
  it.skipIf(process.platform !== 'linux')('reaches every thread of a function’s process, and its session', async () => {
    await open().limit({ ...lent, priority: 'lowest' });
    await sandbox!.start(programOf('export default () => 1', { startTimeoutMs: 55_000 }));
    const processes = ownDenos();
    expect(processes.length).toBeGreaterThan(0);
    for (const pid of processes) {
      if (existsSync('/proc/self/autogroup')) expect(readFileSync(`/proc/${pid}/autogroup`, 'utf8')).toMatch(/nice 19$/m);
      const nices = readdirSync(`/proc/${pid}/task`).map((task) => statField(`/proc/${pid}/task/${task}/stat`, 19));
      expect(new Set(nices)).toEqual(new Set(['19']));
    }
  });

  it.skipIf(!existsSync('/proc/self/autogroup'))('never reaches the session of the node and its owner', async () => {
    const before = readFileSync('/proc/self/autogroup', 'utf8');
    for (const without of [[], ['namespaces', 'seccomp']] as const) {
      await open(...without).limit({ ...lent, priority: 'lowest' });
      await sandbox!.start(programOf('export default () => 1', { startTimeoutMs: 55_000 }));
      expect(readFileSync('/proc/self/autogroup', 'utf8')).toBe(before);
      await sandbox!.close();
    }
  });
});

function ownDenos(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isOurs(name));
}

/** Runs still: one that has ended and waits for somebody to ask how does not count. */
function isThere(pid: number): boolean {
  try {
    return statField(`/proc/${pid}/stat`, 3) !== 'Z';
  } catch {
    return false;
  }
}

/** Field by its number in proc_pid_stat(5). */
function statField(path: string, number: number): string {
  const text = readFileSync(path, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[number - 3]!;
}

/** A Deno below this process. */
function isOurs(pid: string): boolean {
  try {
    let at = pid;
    if (!/deno/.test(readFileSync(`/proc/${at}/comm`, 'utf8'))) return false;
    while (at !== '1' && at !== '0') {
      if (at === String(process.pid)) return true;
      at = statField(`/proc/${at}/stat`, 4);
    }
  } catch {
    // It has ended meanwhile.
  }
  return false;
}
