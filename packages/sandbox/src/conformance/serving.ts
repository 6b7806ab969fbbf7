import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromUtf8, utf8 } from '@orb/protocol';
import { bodyOf, jobOf, textOf } from './jobs.ts';
import type { Instance, Invocation, Program, Sandbox } from '../port.ts';

/**
 * A function that does on each path what a case of the suite needs. Standard JavaScript, so that every engine serves the
 * same: Deno runs it as a bundle, a container as a server.
 */
export const servingSource = `
let made = 0;
const exit = (code) => (globalThis.Deno ? Deno.exit(code) : process.exit(code));
const hang = () => new Promise(() => {});
const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const paths = {
  async '/show'(request, url) {
    const host = url.host, own = request.headers.get('x-own');
    return Response.json({ method: request.method, path: url.pathname + url.search, host, own, body: await request.text() }, { status: 202 });
  },
  '/cookies': () => new Response(null, { headers: [['set-cookie', 'a=1'], ['set-cookie', 'b=2']] }),
  '/nothing': () => new Response(null, { status: 204 }),
  '/echo': async (request) => new Response(await request.arrayBuffer()),
  async '/later'(request, url) {
    await after(Number(url.searchParams.get('ms')));
    return new Response(url.searchParams.get('say'));
  },
  '/never': hang,
  '/through': (request) => new Response(request.body),
  '/big': () => new Response(new Uint8Array(1_000_000)),
  '/made': () => new Response(String(made)),
  '/endless': () => new Response(new ReadableStream({ pull(c) { made += 65536; c.enqueue(new Uint8Array(65536)) } })),
  '/breaks': () => new Response(new ReadableStream({ async start(c) { c.enqueue(new Uint8Array(10)); await after(5); c.error(new Error('broke off')) } })),
  '/exit': () => exit(3),
  '/memory': () => { const all = []; for (;;) all.push(new Array(1e4).fill({})) },
};
export default { fetch(request) { const url = new URL(request.url); return paths[url.pathname](request, url) } };
`;

export interface ServingCase {
  readonly name: string;
  create(): Sandbox | Promise<Sandbox>;
  /** What runs {@link servingSource} there. */
  program(): Program | Promise<Program>;
}

/** What every sandbox does with a program that serves web requests, however it runs it. */
export function servingConformance({ name, create, program }: ServingCase): void {
  describe(`sandbox: ${name}, serving`, () => {
    let sandbox: Sandbox;
    let served: Program;
    let shared: Instance;
    let jobs = 0;
    beforeAll(async () => {
      sandbox = await create();
      served = await program();
      shared = await sandbox.start(served);
    });
    afterAll(() => sandbox?.close());

    const ask = (path: string, more: Partial<Invocation> = {}, instance = shared) =>
      instance.invoke(jobOf(undefined, { job: `job-${++jobs}`, method: 'GET', path, ...more }));
    const post = (path: string, body: Invocation['body'], more: Partial<Invocation> = {}) => ask(path, { method: 'POST', body, ...more });

    /** For what an instance does not outlive. */
    async function withOwn<T>(work: (instance: Instance) => Promise<T>): Promise<T> {
      const instance = await sandbox.start(served);
      try {
        return await work(instance);
      } finally {
        await instance.kill();
      }
    }

    it('gives method, path, query, headers and body, and sends status and body', async () => {
      const result = await ask('/show?c=d', {
        method: 'PUT',
        headers: [
          ['Host', 'orb.example'],
          ['X-Own', 'yes'],
        ],
        body: utf8('hello'),
      });
      expect(result.status).toBe(202);
      expect(JSON.parse(await textOf(result))).toEqual({
        method: 'PUT',
        path: '/show?c=d',
        host: 'orb.example',
        own: 'yes',
        body: 'hello',
      });
      expect(result.headers).toContainEqual(['content-type', 'application/json']);
      const { outcome, runUs } = await result.finished;
      expect([outcome, runUs > 0]).toEqual(['ok', true]);
    });

    it('keeps repeated response headers apart, and sends nothing as nothing', async () => {
      const { headers } = await ask('/cookies');
      expect(headers.filter(([header]) => header === 'set-cookie').map(([, value]) => value)).toEqual(['a=1', 'b=2']);
      const empty = await ask('/nothing');
      expect([empty.status, (await bodyOf(empty)).length]).toEqual([204, 0]);
    });

    it('answers each of many callers at once with its own result', async () => {
      const answers = await Promise.all(Array.from({ length: 100 }, async (_, n) => textOf(await ask(`/later?ms=${n % 7}&say=${n}`))));
      expect(answers).toEqual(Array.from({ length: 100 }, (_, n) => String(n)));
      expect(shared.active).toBe(0);
    });

    it('carries large bodies whole, both ways', async () => {
      const body = new Uint8Array(3_000_001);
      for (let i = 0; i < body.length; i++) body[i] = i * 31;
      const echoed = await bodyOf(await post('/echo', body));
      expect(Buffer.compare(echoed, body)).toBe(0);
    });

    it('streams a request in and a response out, first byte before the last is made', async () => {
      const more = Promise.withResolvers<void>();
      async function* body() {
        yield utf8('first ');
        await more.promise;
        yield utf8('last');
      }
      const result = await post('/through', body());
      let text = '';
      for await (const piece of result.body as AsyncIterable<Uint8Array>) {
        text += fromUtf8(piece);
        more.resolve();
      }
      expect(text).toBe('first last');
      expect((await result.finished).outcome).toBe('ok');
    });

    it('stops a function that makes a body faster than it is read', async () => {
      await withOwn(async (instance) => {
        const result = await ask('/endless', {}, instance);
        const reader = (result.body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
        await reader.next();
        // What the kernel's socket buffers hold is megabytes.
        expect(Number(await textOf(await ask('/made', {}, instance)))).toBeLessThan(32_000_000);
        await reader.return?.();
        expect((await result.finished).outcome).toBe('cancelled');
      });
    });

    it('ends with response-too-large past the limit', async () => {
      await withOwn(async (instance) => {
        const result = await ask('/big', { maxResponseBytes: 500_000 }, instance);
        await expect(bodyOf(result)).rejects.toMatchObject({ code: 'response-too-large' });
        expect((await result.finished).outcome).toBe('response-too-large');
      });
    });

    it('ends a body that the function broke off with an error', async () => {
      await withOwn(async (instance) => {
        const result = await ask('/breaks', {}, instance);
        await expect(bodyOf(result)).rejects.toMatchObject({ code: 'function-failed' });
        expect((await result.finished).outcome).toBe('function-failed');
      });
    });

    it('ends as cancelled when the caller goes, and serves on', async () => {
      await withOwn(async (instance) => {
        const caller = new AbortController();
        const waiting = ask('/never', { signal: caller.signal }, instance);
        await textOf(await ask('/later?ms=20&say=1', {}, instance));
        caller.abort();
        expect((await (await waiting).finished).outcome).toBe('cancelled');
        expect(await textOf(await ask('/later?ms=0&say=on', {}, instance))).toBe('on');
      });
    });

    it('times a job out, lets the others finish, then is replaced', async () => {
      await withOwn(async (instance) => {
        const [late, good] = await Promise.all([ask('/never', { timeoutMs: 40 }, instance), ask('/later?ms=120&say=done', {}, instance)]);
        expect([late.status, (await late.finished).outcome]).toEqual([504, 'timed-out']);
        expect((await good.finished).outcome).toBe('ok');
        await instance.ended;
      });
    });

    it('ends all jobs under way as node-failed when it is killed, and refuses new ones', async () => {
      const instance = await sandbox.start(served);
      const results = [1, 2].map(() => ask('/never', {}, instance));
      await instance.kill();
      for (const result of results) expect((await (await result).finished).outcome).toBe('node-failed');
      await instance.ended;
      expect(instance.accepting).toBe(false);
      await expect(ask('/nothing', {}, instance)).rejects.toMatchObject({ code: 'sandbox-failed' });
    });

    it('says with which code a function ended its own process', async () => {
      await withOwn(async (instance) => {
        const { outcome, error } = await (await ask('/exit', {}, instance)).finished;
        expect([outcome, error]).toEqual(['function-failed', expect.stringContaining('code 3') as string]);
        await instance.ended;
      });
    });

    it('ends what uses more memory than its limit, and says so', async () => {
      await withOwn(async (instance) => {
        expect(await (await ask('/memory', { timeoutMs: 30_000 }, instance)).finished).toMatchObject({ outcome: 'out-of-memory' });
        await instance.ended;
      });
    });
  });
}
