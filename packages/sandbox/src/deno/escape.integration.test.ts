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

describe('Deno without a single grant', () => {
  const sandbox = new DenoSandbox();
  afterAll(() => sandbox.close());
  const denied =
    /ended function-failed|stopped (NotCapable|PermissionDenied|Error|TypeError|NotSupported|NotFound|DOMException|QuotaExceededError|SecurityError|ReferenceError)/;

  it.each([
    ['reading a file', 'return Deno.readTextFileSync("/etc/passwd")', denied],
    ['reading a file, Node’s way', 'return (await import("node:fs")).readFileSync("/etc/passwd", "utf8")', denied],
    ['reading the harness', 'return Deno.readTextFileSync("/harness/main.js")', denied],
    ['a symlink', 'Deno.symlinkSync("/etc/passwd", "/tmp/orb-link"); return Deno.readTextFileSync("/tmp/orb-link")', denied],
    ['a FIFO or device, by a native way', 'return (await import("node:child_process")).execFileSync("mknod", ["/tmp/x", "p"])', denied],
    ['listing the root', 'return [...Deno.readDirSync("/")]', denied],
    ['writing a file', 'Deno.writeTextFileSync("/tmp/x", "x"); return 1', denied],
    ['reading its own memory', 'return Deno.readFileSync("/proc/self/mem").length', denied],
    [
      'reading the environment',
      'return Deno.env.get("HOME") ?? Deno.env.get("PATH") ?? Deno.env.get("DENO_DIR") ?? null',
      /^got null$|stopped/,
    ],
    ['reading the environment, Node’s way', 'return Object.keys(process.env)', /^got \[\]$|stopped/],
    ['a TCP connection', 'await Deno.connect({ hostname: "127.0.0.1", port: 80 }); return 1', denied],
    [
      'a TCP connection, Node’s way',
      'const net = await import("node:net"); return new Promise((y, n) => net.connect(80, "127.0.0.1").on("connect", y).on("error", n))',
      denied,
    ],
    ['a unix socket', 'await Deno.connect({ transport: "unix", path: "/var/run/docker.sock" }); return 1', denied],
    ['listening', 'Deno.listen({ port: 0 }); return 1', denied],
    ['a datagram', 'Deno.listenDatagram({ transport: "udp", port: 0 }); return 1', denied],
    ['a web request', 'return (await fetch("http://127.0.0.1/")).status', denied],
    [
      'a web socket',
      'return new Promise((y, n) => { const w = new WebSocket("ws://127.0.0.1/"); w.onopen = () => y(1); w.onerror = () => n(new Error("refused")) })',
      denied,
    ],
    ['a name look-up', 'return await Deno.resolveDns("example.com", "A")', denied],
    ['another program', 'return new Deno.Command("/deno", { args: ["--version"] }).outputSync().code', denied],
    ['another program, Node’s way', 'return (await import("node:child_process")).execSync("id").toString()', denied],
    ['a native library', 'return Object.keys(Deno.dlopen("/lib/x86_64-linux-gnu/libc.so.6", {}))', denied],
    ['a signal to another process', 'Deno.kill(2, "SIGTERM"); return 1', denied],
    ['a signal to its parent', 'process.kill(process.ppid, "SIGKILL"); return 1', denied],
    ['the machine’s name', 'return Deno.hostname()', denied],
    ['the user', 'return Deno.uid()', denied],
    ['the network’s addresses', 'return Deno.networkInterfaces()', denied],
    ['code from afar', 'return Object.keys(await import("https://example.com/x.js"))', denied],
    ['code from the disk', 'return Object.keys(await import("file:///usr/share/some/module.js"))', denied],
    ['data from the disk as a module', 'return (await import("file:///etc/passwd", { with: { type: "json" } })).default', denied],
    ['code from npm', 'return Object.keys(await import("npm:lodash"))', denied],
    [
      'code from the disk by a static import',
      'const url = URL.createObjectURL(new Blob(["export { default } from \\"file:///etc/hostname\\""], { type: "text/javascript" })); return Object.keys(await import(url))',
      denied,
    ],
    ['asking for a permission', 'return (await Deno.permissions.request({ name: "read" })).state', /^got "denied"$/],
    ['local storage', 'localStorage.setItem("a", "b"); return 1', denied],
    ['caches', 'await caches.open("a"); return 1', denied],
    ['a key–value store', 'await Deno.openKv(); return 1', denied],
    ['SQLite on disk', 'const { DatabaseSync } = await import("node:sqlite"); new DatabaseSync("/tmp/x.db"); return 1', denied],
    [
      'a worker with more permissions',
      'return new Promise((y, n) => { const w = new Worker("data:text/javascript,postMessage(Deno.readTextFileSync(\'/etc/passwd\'))", { type: "module", deno: { permissions: "inherit" } }); w.onmessage = (m) => y(m.data); w.onerror = (e) => { e.preventDefault(); n(new Error(e.message)) } })',
      denied,
    ],
    [
      'a worker with asked-for permissions',
      'new Worker("data:text/javascript,1", { type: "module", deno: { permissions: { read: true } } }); return 1',
      denied,
    ],
    ['a graphics card', 'return navigator.gpu ? await navigator.gpu.requestAdapter() : null', /^got null$|stopped/],
    ['the inspector', 'const i = await import("node:inspector"); i.open(0); return i.url()', denied],
  ])('stops %s', async (_name, attempt, expected) => {
    const said = await attemptIn(sandbox, attempt);
    expect(said).toMatch(expected);
    expect(said).not.toMatch(/root:x|\/work\//);
  });
});

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
