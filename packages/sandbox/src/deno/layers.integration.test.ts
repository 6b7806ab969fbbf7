import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { jobOf, programOf, textOf } from '../conformance.ts';
import type { Layers } from './launch-plan.ts';
import { DenoSandbox } from './deno-sandbox.ts';

const all: readonly (keyof Layers)[] = ['permissions', 'namespaces', 'seccomp', 'limits', 'ownUser', 'groups', 'watch'];

/** One thing that code does where no layer stands, and what comes of it with one. */
interface Wall {
  readonly attempt: string;
  readonly without: RegExp;
  readonly with: RegExp;
}

const connect = 'const c = await Deno.connect({ hostname: "127.0.0.1", port: PORT }); c.close(); return 1';
const listen = 'Deno.listen({ port: 0 }).close(); return 1';
const spawn = 'return new Deno.Command("/bin/true").outputSync().code';
const library = 'return Deno.dlopen((await Deno.realPath("/proc/self/exe")), {}) && 1';
const passwords = 'return Deno.readTextFileSync("/etc/passwd").length > 0';
/** To this process, which ignores it as every one does. */
const signal = `return Deno.kill(${process.pid}, "SIGURG") ?? 1`;
const write = 'const f = Deno.makeTempFileSync(); try { Deno.writeTextFileSync(f, "x"); return 1 } finally { Deno.removeSync(f) }';
/** More than three times the function's limit, and then it is well. */
const fill = 'const all = []; for (let i = 0; i < 40; i++) all.push(new Uint8Array(1e7).fill(1)); return all.length';

/** Each layer alone: what it stops that nothing else does then. The name is what the probe calls it. */
const layers: Readonly<Record<keyof Layers, { readonly name: string; readonly walls: readonly Wall[] }>> = {
  permissions: {
    name: 'Deno permissions',
    walls: [
      { attempt: passwords, without: /^got true$/, with: /^stopped NotCapable/ },
      { attempt: write, without: /^got 1$/, with: /^stopped NotCapable/ },
      { attempt: connect, without: /^got 1$/, with: /^stopped NotCapable/ },
      { attempt: listen, without: /^got 1$/, with: /^stopped NotCapable/ },
      { attempt: spawn, without: /^got 0$/, with: /^stopped NotCapable/ },
      { attempt: 'return Deno.hostname().length > 0', without: /^got true$/, with: /^stopped NotCapable/ },
      { attempt: signal, without: /^got 1$/, with: /^stopped NotCapable/ },
      { attempt: library, without: /^(got 1|stopped (?!NotCapable))/, with: /^stopped NotCapable/ },
    ],
  },
  namespaces: {
    name: 'namespaces (bubblewrap)',
    walls: [
      { attempt: passwords, without: /^got true$/, with: /^stopped NotFound/ },
      { attempt: write, without: /^got 1$/, with: /^stopped NotFound/ },
      { attempt: 'Deno.writeTextFileSync("/x", "x"); Deno.removeSync("/x"); return 1', without: /^got 1$/, with: /Read-only|os error 30/ },
      { attempt: connect, without: /^got 1$/, with: /^stopped (ConnectionRefused|.*unreachable)/i },
      { attempt: spawn, without: /^got 0$/, with: /^stopped NotFound/ },
      {
        attempt: 'return [...Deno.readDirSync("/proc")].filter((e) => +e.name > 0).length === 1',
        without: /^got false$/,
        with: /^got true$/,
      },
      { attempt: signal, without: /^got 1$/, with: /^stopped NotFound|ESRCH|No such process/ },
      { attempt: 'return [Deno.hostname(), Deno.uid()]', without: /^got \["(?!fn")/, with: /^got \["fn",65534\]$/ },
    ],
  },
  seccomp: {
    name: 'seccomp',
    walls: [
      { attempt: connect, without: /^got 1$/, with: /^stopped PermissionDenied.*not permitted/i },
      { attempt: listen, without: /^got 1$/, with: /^stopped PermissionDenied.*not permitted/i },
      { attempt: spawn, without: /^got 0$/, with: /^stopped .*(not permitted|PermissionDenied)/i },
    ],
  },
  limits: {
    name: 'resource limits',
    walls: [
      { attempt: write, without: /^got 1$/, with: /^(stopped|ended)/ },
      { attempt: 'return new ArrayBuffer(3e9).byteLength', without: /^got 3000000000$/, with: /^stopped RangeError/ },
      {
        attempt: 'return Deno.readTextFileSync("/proc/self/limits").match(/core file size +\\S+ +(\\S+)|open files +(\\d+)/g).join()',
        without: /open files +(?!128\b)/,
        with: /core file size +0 +0,.*open files +128\b/,
      },
    ],
  },
  ownUser: {
    name: 'own user',
    walls: [
      { attempt: 'return Deno.readTextFileSync("/etc/shadow").length > 0', without: /^got true$/, with: /^stopped PermissionDenied/ },
      { attempt: signal, without: /^got 1$/, with: /^stopped PermissionDenied/ },
    ],
  },
  groups: { name: 'control groups', walls: [{ attempt: fill, without: /^got 40$/, with: /^ended out-of-memory$/ }] },
  watch: { name: 'memory watch', walls: [{ attempt: fill, without: /^got 40$/, with: /^ended out-of-memory$/ }] },
};

/** Runs `attempt` in a handler; gives what it got away with, or the error that stopped it. */
async function attemptIn(sandbox: DenoSandbox, attempt: string): Promise<string> {
  const source = `export default async () => { try { const got = await (async () => { ${attempt} })(); return 'got ' + JSON.stringify(got) } catch (e) { return 'stopped ' + e.name + ': ' + e.message } }`;
  const instance = await sandbox.start(programOf(source));
  try {
    const result = await instance.invoke(jobOf(null, { timeoutMs: 20_000 }));
    return result.status === 200 ? (JSON.parse(await textOf(result)) as string) : `ended ${(await result.finished).outcome}`;
  } finally {
    await instance.kill();
  }
}

/** Skips, with the reason, what this machine cannot show; on CI that is a failure. */
async function needs(sandbox: DenoSandbox, name: string, context: TestContext): Promise<void> {
  const { layers: found } = await sandbox.probe();
  const layer = found.find((each) => each.name.startsWith(name));
  if (layer?.active) return;
  const reason = `${name} cannot be switched on here. ${layer?.remedy ?? ''}`;
  if (process.env['CI'] === 'true') throw new Error(reason);
  context.skip(reason);
}

describe.skipIf(process.platform !== 'linux' || process.getuid?.() !== 0)('one layer at a time, the others off (as root on Linux)', () => {
  const bare = new DenoSandbox({ spares: 0, without: all });
  let server: Server;
  let port: number;
  beforeAll(async () => {
    server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(async () => {
    await bare.close();
    await new Promise((resolve) => server.close(resolve));
  });

  it('none is on where all are off', async () => {
    const { layers: found, tier } = await bare.probe();
    expect(tier).toBe('process');
    const named = Object.values(layers).map(({ name }) => name);
    expect(found.filter(({ name, active }) => active && named.some((each) => name.startsWith(each)))).toEqual([]);
  });

  describe.each(Object.entries(layers))('%s', (layer, { name, walls }) => {
    const alone = new DenoSandbox({ spares: 0, without: all.filter((each) => each !== layer) });
    afterAll(() => alone.close());

    for (const { attempt, ...ends } of walls)
      it(attempt, async (context) => {
        await needs(alone, name, context);
        const own = attempt.replace('PORT', String(port));
        expect(await attemptIn(bare, own)).toMatch(ends.without);
        expect(await attemptIn(alone, own)).toMatch(ends.with);
      });
  });
});
