import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jobOf, programOf, textOf } from '../conformance.ts';
import { InstancePool } from '../instance-pool.ts';
import type { Instance } from '../port.ts';
import { DenoSandbox } from './deno-sandbox.ts';

/** Writes one frame to standard output, as the harness would. */
const forge = `
  const out = (...bytes) => Deno.stdout.writeSync(new Uint8Array(bytes));
  const u32 = (n) => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24];
  const frame = (type, job, payload) => out(...u32(5 + payload.length), type, ...u32(job), ...payload);
  const ascii = (text) => [...text].map((c) => c.charCodeAt(0));
  const answer = (job, status, headers, body = '') => frame(68, job, [1, status & 255, status >>> 8, ...u32(headers.length), ...ascii(headers), ...ascii(body)]);
  const hang = () => new Promise(() => {});
`;

/** Each: the handler's body, and how the job must end. */
const attacks: Record<
  string,
  { body: string; outcome: string | RegExp; error?: RegExp; before?: string; timeoutMs?: number; unread?: true }
> = {
  'an endless loop': { body: 'for (;;);', outcome: 'timed-out', timeoutMs: 200 },
  'an endless chain of promises': {
    body: 'const next = () => Promise.resolve().then(next); return next()',
    outcome: 'timed-out',
    timeoutMs: 200,
  },
  'an endless regular expression': { body: 'return /^(a+)+$/.test("a".repeat(50) + "!")', outcome: 'timed-out', timeoutMs: 200 },
  'an endless chain of microtasks': {
    body: 'const next = () => queueMicrotask(next); next(); return hang()',
    outcome: 'timed-out',
    timeoutMs: 200,
  },
  'an endless chain of timers': {
    body: 'const next = () => setTimeout(next, 0); next(); return hang()',
    outcome: 'timed-out',
    timeoutMs: 200,
  },
  'an endless asynchronous loop': { body: 'for (;;) await null', outcome: 'timed-out', timeoutMs: 200 },
  'a fork bomb': {
    body: 'for (;;) try { new Deno.Command("/deno", { args: ["eval", "for(;;);"] }).spawn() } catch {}',
    outcome: 'timed-out',
    timeoutMs: 300,
  },
  'a promise that never settles': { body: 'return hang()', outcome: 'timed-out', timeoutMs: 100 },
  'a heap bomb': { body: 'const all = []; for (;;) all.push(new Array(1e4).fill({}))', outcome: 'out-of-memory' },
  'a string bomb': {
    body: 'const all = []; for (let i = 0;; i++) all.push((i + "x").repeat(5e6).split("").join("-"))',
    outcome: 'out-of-memory',
  },
  'an ArrayBuffer bomb': { body: 'const all = []; for (;;) all.push(new Uint8Array(1e7).fill(1))', outcome: 'out-of-memory' },
  'one giant ArrayBuffer': { body: 'return new Uint8Array(4e9).fill(1).length', outcome: 'out-of-memory' },
  'a WASM memory bomb': {
    body: 'const all = []; for (;;) { const m = new WebAssembly.Memory({ initial: 1000 }); new Uint8Array(m.buffer).fill(1); all.push(m) }',
    outcome: 'out-of-memory',
  },
  'many workers': {
    body: 'for (let i = 0; i < 200; i++) new Worker("data:text/javascript,const a=[];for(;;)a.push(new Array(1e4).fill(1))", { type: "module" }); return hang()',
    outcome: /out-of-memory|timed-out|function-failed/,
    timeoutMs: 5_000,
  },
  'a flood of zeros on standard output': { body: 'for (;;) Deno.stdout.writeSync(new Uint8Array(65536))', outcome: 'bad-response' },
  'a flood of words on standard output': {
    body: 'for (;;) Deno.stdout.writeSync(new TextEncoder().encode("hello ".repeat(1e4)))',
    outcome: 'bad-response',
  },
  'a flood on standard error': { body: 'for (;;) Deno.stderr.writeSync(new Uint8Array(65536))', outcome: 'bad-response' },
  'a flood of log lines': { body: 'for (let i = 0; i < 2e5; i++) console.log("x".repeat(1000)); return 1', outcome: 'ok' },
  'a flood of forged log frames': { body: 'for (;;) frame(73, 0, [1, 65])', outcome: 'bad-response' },
  'a flood of forged log frames for its own job': { body: 'for (;;) frame(73, 1, [1, 65])', outcome: 'bad-response' },
  'a flood of forged credit': { body: 'for (;;) frame(74, 1, [1, 0, 0, 0])', outcome: 'bad-response' },
  'a flood of empty body pieces': {
    body: 'frame(69, 1, [0, 200, 0, ...u32(2), 91, 93]); for (;;) frame(70, 1, [])',
    outcome: 'bad-response',
  },
  'a flood of tiny body pieces': {
    body: 'frame(69, 1, [0, 200, 0, ...u32(2), 91, 93]); for (;;) frame(70, 1, [1])',
    outcome: 'bad-response',
    unread: true,
  },
  'a flood of forged words about requests': { body: 'for (;;) frame(78, 1, [...u32(0), 2])', outcome: 'bad-response' },
  'a flood of forged requests': {
    body: 'for (let i = 1;; i++) frame(78, 1, [...u32(i), 0, ...u32(2), 123, 125])',
    outcome: 'bad-response',
  },
  'a flood of forged pongs': { body: 'for (;;) frame(75, 0, [])', outcome: 'bad-response' },
  'a frame of four gigabytes': { body: 'out(255, 255, 255, 255, 68, 1, 0, 0, 0); return hang()', outcome: 'bad-response' },
  'a frame too short to be one': { body: 'out(1, 0, 0, 0, 68, 1, 0, 0, 0); return hang()', outcome: 'bad-response' },
  'a frame for a job that was never sent': { body: 'answer(99, 200, "[]"); return hang()', outcome: 'bad-response', error: /job 99/ },
  'a frame of an unknown type': { body: 'frame(200, 1, []); return hang()', outcome: 'bad-response' },
  'a second start': { body: 'frame(65, 0, []); return hang()', outcome: 'bad-response' },
  'a status that is none': { body: 'answer(1, 99, "[]"); return hang()', outcome: 'bad-response', error: /status/ },
  'a line break in a forged header': {
    body: 'answer(1, 200, \'[["a","b\\\\r\\\\nset-cookie: c"]]\'); return hang()',
    outcome: 'bad-response',
    error: /header/,
  },
  'headers that are no JSON': { body: 'answer(1, 200, "[[["); return hang()', outcome: 'bad-response' },
  'headers that are not UTF-8': { body: 'frame(68, 1, [1, 200, 0, ...u32(2), 0xff, 0xfe]); return hang()', outcome: 'bad-response' },
  'headers longer than the frame': { body: 'frame(68, 1, [1, 200, 0, ...u32(1e6), 91, 93]); return hang()', outcome: 'bad-response' },
  'a thousand headers': {
    body: 'const h = new Headers(); for (let i = 0; i < 1000; i++) h.append("x-" + i, "1"); return new Response("", { headers: h })',
    outcome: 'bad-response',
    error: /100/,
  },
  'headers of a megabyte': { body: 'return new Response("", { headers: { big: "x".repeat(1e6) } })', outcome: 'bad-response' },
  'a body piece before any head': { body: 'frame(70, 1, [1, 2, 3]); return hang()', outcome: 'bad-response' },
  'two answers': { body: 'frame(69, 1, [0, 200, 0, ...u32(2), 91, 93]); answer(1, 200, "[]"); return hang()', outcome: 'bad-response' },
  'more body than it has credit for': {
    body: 'frame(69, 1, [0, 200, 0, ...u32(2), 91, 93]); const piece = new Array(60000).fill(0); for (let i = 0; i < 20; i++) frame(70, 1, piece); return hang()',
    outcome: 'bad-response',
    unread: true,
  },
  'the end of its own process': { body: 'Deno.exit(3)', outcome: 'function-failed', error: /code 3/ },
  'the end of its own process, Node’s way': { body: 'process.exit(4)', outcome: 'function-failed', error: /code 4/ },
  'a rejection that nobody handles': {
    body: 'Promise.reject(new Error("floating")); return hang()',
    outcome: 'function-failed',
    error: /floating/,
  },
  'an error in a timer': {
    body: 'setTimeout(() => { throw new Error("later") }, 1); return hang()',
    outcome: 'function-failed',
    error: /later/,
  },
  'a throw of something unspeakable': { body: 'throw { get message() { throw 1 }, toString() { throw 2 } }', outcome: 'function-failed' },
  'a result that lies about itself': { body: 'return { toJSON() { throw new Error("no") } }', outcome: 'bad-response' },
  'reading what the host sends': {
    body: 'const b = new Uint8Array(1e5); for (let i = 0; i < 3; i++) await Deno.stdin.read(b)',
    outcome: 'timed-out',
    timeoutMs: 200,
  },
  'broken globals': {
    before:
      'for (const p of [Array, Map, Promise, Uint8Array, String, JSON, TextEncoder, TextDecoder].flatMap((c) => [c, c.prototype])) if (p) for (const k of Reflect.ownKeys(p)) { if (k === "constructor" || k === "prototype" || k === Symbol.iterator || k === "next") continue; try { if (typeof p[k] === "function") p[k] = () => { throw new Error("broken") } } catch {} }',
    body: 'return 1',
    outcome: 'ok',
  },
};

describe('code that means harm', () => {
  const sandbox = new DenoSandbox();
  let other: Instance;
  beforeAll(async () => {
    other = await sandbox.start(programOf('export default (n) => n + 1'));
  });
  afterAll(() => sandbox.close());

  for (const [name, { body, outcome, error, before = '', timeoutMs = 10_000, unread }] of Object.entries(attacks)) {
    it(`${name} ends as ${String(outcome)}, and others are served`, async () => {
      const instance = await sandbox.start(programOf(`${forge}\n${before}\nexport default async (input, ctx) => { ${body} }`));
      const running = instance.invoke(jobOf(1, { timeoutMs }));
      expect(await textOf(await other.invoke(jobOf(41, { job: 'other' })))).toBe('42');
      const result = await running;
      if (!unread && !(result.body instanceof Uint8Array)) await textOf(result).catch(() => {});
      const usage = await result.finished;
      expect(usage.outcome).toMatch(outcome instanceof RegExp ? outcome : new RegExp(`^${outcome}$`));
      if (error) expect(usage.error).toMatch(error);
      expect(usage.error ?? '').not.toMatch(/\/work|\/packages\/|node_modules|file:\/\//);
      expect(await textOf(await other.invoke(jobOf(41, { job: 'other' })))).toBe('42');
      await instance.kill();
    });
  }

  it('holds a memory bomb near its limit', async () => {
    const instance = await sandbox.start(
      programOf('export default () => { const all = []; for (;;) all.push(new Uint8Array(1e6).fill(1)) }', { memoryMiB: 256 }),
    );
    const usage = await (await instance.invoke(jobOf(1))).finished;
    expect(usage.outcome).toBe('out-of-memory');
    expect(usage.peakMemoryKiB).toBeGreaterThan(100 * 1024);
    expect(usage.peakMemoryKiB).toBeLessThan(400 * 1024);
  });

  it('a body that unfolds to gigabytes is the function’s own memory, and the host never unfolds it', async () => {
    const source = `export default { async fetch(request) {
      const kept = []; for await (const piece of request.body.pipeThrough(new DecompressionStream('gzip'))) kept.push(piece.slice());
      return new Response(String(kept.length));
    } }`;
    const instance = await sandbox.start(programOf(source));
    const bomb = gzipSync(Buffer.alloc(512 * 1024 * 1024));
    const before = process.memoryUsage.rss();
    const result = await instance.invoke({
      ...jobOf(undefined, { timeoutMs: 30_000 }),
      headers: [['content-encoding', 'gzip']],
      body: new Uint8Array(bomb),
    });
    expect((await result.finished).outcome).toBe('out-of-memory');
    expect(process.memoryUsage.rss() - before).toBeLessThan(128 * 1024 * 1024);
    expect(await textOf(await other.invoke(jobOf(41, { job: 'other' })))).toBe('42');
  });

  it('an endless loop left behind after the answer costs its own function a job and the process, and nobody else anything', async () => {
    const source = 'export default (kind) => { if (kind === "leave") setTimeout(() => { for (;;); }, 0); return kind }';
    const instance = await sandbox.start(programOf(source));
    expect(await textOf(await instance.invoke(jobOf('leave')))).toBe('"leave"');
    // Jobs that follow closely may come before it: a timer waits for a turn of the event loop.
    let outcome = 'ok';
    while (outcome === 'ok') outcome = (await (await instance.invoke(jobOf('next', { job: 'job-2', timeoutMs: 300 }))).finished).outcome;
    expect(outcome).toBe('timed-out');
    await instance.ended;
    expect(await textOf(await other.invoke(jobOf(41, { job: 'other' })))).toBe('42');
  });

  it('another tenant never gets a process that code has been in, whatever the version', async () => {
    const pool = new InstancePool({ memoryMiB: 4_096 }, { sandbox });
    const source =
      'export default (secret) => { const seen = globalThis.kept ?? null; globalThis.kept = secret ?? globalThis.kept; return seen }';
    const ask = async (tenant: string, secret: string | null) => {
      const lease = await pool.acquire({
        tenant,
        version: 'f'.repeat(64),
        concurrency: 1,
        memoryMiB: 128,
        load: async () => programOf(source),
      });
      try {
        return await textOf(await lease.instance.invoke(jobOf(secret, { job: tenant })));
      } finally {
        lease.release();
      }
    };
    expect(await ask('alice', 'alice’s')).toBe('null');
    expect(await ask('alice', null)).toBe('"alice’s"');
    for (let i = 0; i < 5; i++) expect(await ask(`bob ${i}`, null)).toBe('null');
    await pool.close();
  });

  it('meters CPU time by what the process used, not by what it waited', async () => {
    const source =
      'const waitMs = 150; export default async (kind) => { let n = 0; if (kind === "spin") while (n < 3e8) n += Math.random() < 2 ? 1 : 2; else await new Promise((r) => setTimeout(r, waitMs)) }';
    const instance = await sandbox.start(programOf(source));
    const spin = await (await instance.invoke(jobOf('spin'))).finished;
    const wait = await (await instance.invoke(jobOf('wait'))).finished;
    expect(spin.cpuUs).toBeGreaterThan(3 * wait.cpuUs);
    expect(spin.cpuUs).toBeGreaterThan(30_000);
    expect(wait.runUs).toBeGreaterThan(140_000);
    await instance.kill();
  });

  it('ends the other jobs of a blocked instance as node-failed', async () => {
    const instance = await sandbox.start(
      programOf('export default async (kind) => { if (kind === "spin") for (;;); await new Promise(() => {}) }'),
    );
    const waiting = instance.invoke(jobOf('wait', { job: 'job-2' }));
    const spinning = await (await instance.invoke(jobOf('spin', { timeoutMs: 150 }))).finished;
    expect(spinning.outcome).toBe('timed-out');
    expect((await (await waiting).finished).outcome).toBe('node-failed');
    await instance.ended;
  });

  describe('while it is being loaded', () => {
    it.each([
      ['an endless loop', 'for (;;);', 'timed-out'],
      ['a wait without end', 'await new Promise(() => {}); export default () => 1', 'timed-out'],
      ['a heap bomb', 'const all = []; for (;;) all.push(new Array(1e5).fill({})); export default all', 'out-of-memory'],
      ['the end of the process', 'Deno.exit(0)', 'load-failed'],
      ['source that is none', 'this is not JavaScript', 'load-failed'],
      ['a forged word that it is loaded', 'Deno.stdout.writeSync(new Uint8Array([5,0,0,0,65,0,0,0,0])); for (;;);', 'load-failed'],
    ])('%s is an error with the right code', async (_name, source, code) => {
      const failure = sandbox.start(programOf(source, { startTimeoutMs: code === 'timed-out' ? 300 : 10_000 }));
      await expect(failure).rejects.toMatchObject({ code });
      await expect(failure).rejects.not.toMatchObject({ message: expect.stringMatching(/\/work|file:\/\//) as string });
    });
  });
});
