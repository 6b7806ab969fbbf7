import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { jobOf, programOf, textOf } from '../conformance.ts';
import type { Layers } from './launch-plan.ts';
import { DenoSandbox } from './deno-sandbox.ts';

/** Runs `attempt` in a handler; gives what it got away with, or the error that stopped it. */
async function attemptIn(sandbox: DenoSandbox, attempt: string): Promise<string> {
  const source = `export default async () => { try { const got = await (async () => { ${attempt} })(); return 'got ' + JSON.stringify(got) } catch (e) { return 'stopped ' + e.name + ': ' + e.message } }`;
  const instance = await sandbox.start(programOf(source));
  try {
    const result = await instance.invoke(jobOf(null, { timeoutMs: 5_000 }));
    return result.status === 200 ? (JSON.parse(await textOf(result)) as string) : `ended ${(await result.finished).outcome}`;
  } finally {
    await instance.kill();
  }
}

/** Skips, with the reason, what this machine cannot show; on CI that is a failure. */
async function needs(sandbox: DenoSandbox, names: readonly string[], context: TestContext): Promise<void> {
  const { layers } = await sandbox.probe();
  for (const name of names) {
    const layer = layers.find((each) => each.name === name);
    if (layer?.active) continue;
    const reason = `${name} cannot be switched on here. ${layer?.remedy ?? ''}`;
    if (process.env['CI'] === 'true') throw new Error(reason);
    context.skip(reason);
  }
}

describe('one layer at a time, the others off', () => {
  let server: Server;
  let port: number;
  const sandboxes: DenoSandbox[] = [];
  beforeAll(async () => {
    server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(async () => {
    await Promise.all(sandboxes.map((sandbox) => sandbox.close()));
    await new Promise((resolve) => server.close(resolve));
  });

  function only(...layers: (keyof Layers)[]): DenoSandbox {
    const all: (keyof Layers)[] = ['permissions', 'namespaces', 'seccomp', 'limits', 'ownUser'];
    const sandbox = new DenoSandbox({ spares: 0, without: all.filter((layer) => !layers.includes(layer)) });
    sandboxes.push(sandbox);
    return sandbox;
  }
  const connect = () => `const c = await Deno.connect({ hostname: "127.0.0.1", port: ${port} }); c.close(); return 1`;
  const spawn = 'return new Deno.Command("/deno", { args: ["--version"] }).outputSync().code';

  it('with all of them off the attempts succeed, so that the tests below mean something', async () => {
    const open = only();
    expect(await attemptIn(open, connect())).toBe('got 1');
    expect(await attemptIn(open, 'return new Deno.Command("/bin/true").outputSync().code')).toBe('got 0');
    expect(await attemptIn(open, 'return Deno.readTextFileSync("/etc/passwd").length > 0')).toBe('got true');
  });

  it('namespaces: no files, processes, network or environment of the host', async (context) => {
    const sandbox = only('namespaces');
    await needs(sandbox, ['namespaces (bubblewrap)'], context);
    const all = await attemptIn(
      sandbox,
      `return {
      root: [...Deno.readDirSync("/")].map((e) => e.name).sort(), processes: [...Deno.readDirSync("/proc")].map((e) => e.name).filter((n) => +n > 0),
      env: Object.keys(Deno.env.toObject()).sort(), host: Deno.hostname(), uid: Deno.uid() }`,
    );
    expect(JSON.parse(all.slice('got '.length))).toEqual({
      root: ['deno', 'harness', 'lib', 'lib64', 'proc'].filter((name) => process.arch === 'x64' || name !== 'lib64'),
      processes: ['1'],
      env: ['DENO_DIR', 'DENO_NO_UPDATE_CHECK', 'DENO_WEBGPU_BACKEND', 'MALLOC_ARENA_MAX', 'PWD'].filter((name) => all.includes(name)),
      host: 'fn',
      uid: 65_534,
    });
    expect(await attemptIn(sandbox, connect())).toMatch(/stopped ConnectionRefused|stopped .*unreachable/i);
    expect(await attemptIn(sandbox, 'Deno.writeTextFileSync("/x", "x"); return 1')).toMatch(/Read-only|os error 30/i);
    expect(await attemptIn(sandbox, 'Deno.writeTextFileSync("/harness/main.js", "x"); return 1')).toMatch(/stopped/);
  });

  it('seccomp: no sockets and no new processes', async (context) => {
    const sandbox = only('seccomp');
    await needs(sandbox, ['seccomp'], context);
    expect(await attemptIn(sandbox, 'return Deno.readTextFileSync("/etc/passwd").length > 0')).toBe('got true');
    expect(await attemptIn(sandbox, connect())).toMatch(/stopped PermissionDenied.*not permitted/i);
    expect(await attemptIn(sandbox, 'Deno.listen({ port: 0 }); return 1')).toMatch(/stopped PermissionDenied.*not permitted/i);
    expect(await attemptIn(sandbox, 'return new Deno.Command("/bin/true").outputSync().code')).toMatch(
      /stopped .*(not permitted|PermissionDenied)/i,
    );
    expect(await attemptIn(sandbox, spawn)).toMatch(/stopped/);
  });

  it('resource limits: no file is written, no giant buffer made', async (context) => {
    const sandbox = only('limits');
    await needs(sandbox, ['resource limits'], context);
    expect(
      await attemptIn(
        sandbox,
        'const f = Deno.makeTempFileSync(); try { Deno.writeTextFileSync(f, "x"); return 1 } finally { Deno.removeSync(f) }',
      ),
    ).toMatch(/stopped|ended/);
    expect(await attemptIn(sandbox, 'return new Uint8Array(2e9).fill(1).length')).toMatch(/stopped RangeError/);
  });

  it('memory watch: buffers that nothing else bounds end the process', async (context) => {
    const sandbox = only('permissions');
    await needs(sandbox, ['memory watch'], context);
    expect(await attemptIn(sandbox, 'const all = []; for (;;) all.push(new Uint8Array(1e6).fill(1))')).toBe('ended out-of-memory');
  });

  it('own user: what only the node’s owner may read stays unread', async (context) => {
    const sandbox = only('ownUser');
    await needs(sandbox, ['own user'], context);
    expect(await attemptIn(sandbox, 'return Deno.readTextFileSync("/etc/shadow").length')).toMatch(/stopped PermissionDenied/);
  });
});
