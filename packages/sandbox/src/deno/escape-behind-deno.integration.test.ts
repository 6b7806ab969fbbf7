import { spawn, type ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jobOf, programOf, textOf } from '../conformance.ts';
import type { Instance } from '../port.ts';
import { DenoSandbox } from './deno-sandbox.ts';

/**
 * Every try that Deno itself stops, once more with all of Deno's permissions granted: as if there were a hole in it. Each
 * names the layer that stops it then, and what it gets.
 */
const tries: readonly (readonly [name: string, attempt: string, layer: string, gets: RegExp])[] = [
  ['a file of the host', 'return Deno.readTextFileSync("/etc/passwd")', 'namespaces', /^stopped NotFound/],
  ['a file, Node’s way', 'return (await import("node:fs")).readFileSync("/etc/shadow", "utf8")', 'namespaces', /^stopped .*ENOENT/],
  [
    'the root',
    'return [...Deno.readDirSync("/")].map((e) => e.name).sort()',
    'namespaces',
    /^got \["deno","harness","lib"(,"lib64")?,"proc"\]$/,
  ],
  ['a written file', 'Deno.writeTextFileSync("/x", "x"); return 1', 'namespaces', /^stopped .*Read-only/],
  ['a written temporary file', 'Deno.writeTextFileSync("/tmp/x", "x"); return 1', 'namespaces', /^stopped NotFound/],
  [
    'a symlink to the host',
    'Deno.symlinkSync("/etc/passwd", "/x"); return Deno.readTextFileSync("/x")',
    'namespaces',
    /^stopped .*Read-only/,
  ],
  ['a hard link', 'Deno.linkSync("/deno", "/x"); return 1', 'namespaces', /^stopped/],
  ['a changed harness', 'Deno.writeTextFileSync("/harness/main.js", "x"); return 1', 'namespaces', /^stopped/],
  ['other processes', 'return [...Deno.readDirSync("/proc")].map((e) => e.name).filter((n) => +n > 0)', 'namespaces', /^got \["1"\]$/],
  [
    'the environment of the node',
    'return Object.keys(Deno.env.toObject()).filter((n) => !/^(DENO_|MALLOC_)|^PWD$/.test(n))',
    'the launch plan',
    /^got \[\]$/,
  ],
  ['the name and user of the computer', 'return [Deno.hostname(), Deno.uid()]', 'namespaces', /^got \["fn",65534\]$/],
  ['its network interfaces', 'return Deno.networkInterfaces()', 'seccomp', /^stopped PermissionDenied/],
  ['a TCP connection', 'await Deno.connect({ hostname: "127.0.0.1", port: 80 }); return 1', 'seccomp', /^stopped PermissionDenied/],
  [
    'a unix socket',
    'await Deno.connect({ transport: "unix", path: "/var/run/docker.sock" }); return 1',
    'seccomp',
    /^stopped PermissionDenied/,
  ],
  ['listening', 'Deno.listen({ port: 0 }); return 1', 'seccomp', /^stopped PermissionDenied/],
  [
    'a datagram',
    'return await new Promise((y, n) => (import("node:dgram")).then((d) => d.createSocket("udp4").on("error", n).bind(0, () => y(1))))',
    'seccomp',
    /^(stopped|ended)/,
  ],
  ['a name look-up', 'return await Deno.resolveDns("example.com", "A")', 'namespaces', /^stopped/],
  ['another program', 'return new Deno.Command("/deno", { args: ["--version"] }).outputSync().code', 'seccomp', /^stopped/],
  [
    'a fork bomb',
    'let n = 0; for (let i = 0; i < 100; i++) try { new Deno.Command("/deno", { args: ["eval", "for(;;);"] }).spawn(); n++ } catch {} return n',
    'seccomp',
    /^got 0$/,
  ],
  [
    'system calls of its own, by a native library',
    'const f = (...parameters) => ({ parameters, result: "i32" }); const { symbols: c } = Deno.dlopen((Deno.build.arch === "x86_64" ? "/lib/x86_64-linux-gnu" : "/lib/aarch64-linux-gnu") + "/libc.so.6", { socket: f("i32", "i32", "i32"), fork: f(), unshare: f("i32"), setuid: f("u32") }); return [c.socket(2, 1, 0), c.fork(), c.unshare(0x10000000), c.setuid(0)]',
    'seccomp and the own user',
    /^got \[-1,-1,-1,-1\]$/,
  ],
  ['local storage on disk', 'localStorage.setItem("a", "b"); return 1', 'the launch plan', /^stopped/],
  ['caches on disk', 'await caches.open("a"); return 1', 'the launch plan', /^stopped/],
  [
    'SQLite on disk',
    'const { DatabaseSync } = await import("node:sqlite"); new DatabaseSync("/tmp/x.db"); return 1',
    'namespaces',
    /^stopped/,
  ],
  ['a graphics card', 'return navigator.gpu ? await navigator.gpu.requestAdapter() : null', 'the launch plan', /^got null$/],
  ['the inspector', 'const i = await import("node:inspector"); i.open(0); return i.url()', 'seccomp', /^stopped/],
  ['code from afar', 'return Object.keys(await import("https://example.com/x.js"))', 'the launch plan', /^stopped/],
  ['code from the disk', 'return Object.keys(await import("file:///usr/lib/node/x.js"))', 'namespaces', /^stopped/],
];

describe('behind a hole in Deno', () => {
  const sandbox = new DenoSandbox({ without: ['permissions'] });
  let other: Instance;
  let victim: ChildProcess;
  let reason: string | undefined;
  beforeAll(async () => {
    const { layers } = await sandbox.probe();
    const missing = layers.find(({ name, active }) => ['namespaces (bubblewrap)', 'seccomp'].includes(name) && !active);
    reason = missing && `${missing.name} cannot be switched on here. ${missing.remedy ?? ''}`;
    if (reason !== undefined && process.env['CI'] === 'true') throw new Error(reason);
    other = await sandbox.start(programOf('export default (n) => n + 1'));
    victim = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  });
  afterAll(async () => {
    victim.kill('SIGKILL');
    await sandbox.close();
  });

  async function attemptTo(attempt: string): Promise<string> {
    const source = `export default async () => { try { const got = await (async () => { ${attempt} })(); return 'got ' + JSON.stringify(got) } catch (e) { return 'stopped ' + e.name + ': ' + e.message } }`;
    const instance = await sandbox.start(programOf(source));
    try {
      const result = await instance.invoke(jobOf(null, { timeoutMs: 10_000 }));
      return result.status === 200 ? (JSON.parse(await textOf(result)) as string) : `ended ${(await result.finished).outcome}`;
    } finally {
      await instance.kill();
    }
  }

  for (const [name, attempt, layer, gets] of tries) {
    it(`${name} is stopped by ${layer}, and others are served`, async (context) => {
      if (reason !== undefined) context.skip(reason);
      const said = await attemptTo(attempt);
      expect(said).toMatch(gets);
      expect(said).not.toMatch(/root:x|\/work\//);
      expect(await textOf(await other.invoke(jobOf(41, { job: 'other' })))).toBe('42');
    });
  }

  it('a signal to a process of the host is stopped by namespaces: there is none of that number', async (context) => {
    if (reason !== undefined) context.skip(reason);
    await attemptTo(`Deno.kill(${victim.pid}, "SIGKILL"); return 1`);
    await attemptTo(`process.kill(${victim.pid}, "SIGKILL"); return 1`);
    expect(victim.exitCode ?? victim.signalCode).toBeNull();
    expect(process.kill(victim.pid!, 0)).toBe(true);
  });
});
