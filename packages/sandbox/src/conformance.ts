import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromUtf8, limits, utf8 } from '@orb/protocol';
import { bodyOf, jobOf, programOf, textOf } from './conformance/jobs.ts';
import type { BundleProgram, Instance, Invocation, Sandbox } from './port.ts';

export { bodyOf, jobOf, programOf, textOf } from './conformance/jobs.ts';
export { fetchConformance } from './conformance/fetching.ts';
export { wasmConformance } from './conformance/wasm.ts';
export { servingConformance, servingSource, type ServingCase } from './conformance/serving.ts';

export interface SandboxCase {
  readonly name: string;
  create(): Sandbox;
}

/** What every sandbox does with well-meant code. What it does with hostile code, only a real one can show. */
export function sandboxConformance({ name, create }: SandboxCase): void {
  describe(`sandbox: ${name}`, () => {
    let sandbox: Sandbox;
    beforeAll(() => {
      sandbox = create();
    });
    afterAll(() => sandbox.close());

    /** Runs one job in an instance of its own. */
    async function run(source: string, job: Invocation = jobOf(null), more: Partial<BundleProgram> = {}) {
      const instance = await sandbox.start(programOf(source, more));
      try {
        const result = await instance.invoke(job);
        const body = await bodyOf(result);
        return { ...result, text: Buffer.from(body).toString(), bytes: body, usage: await result.finished };
      } finally {
        await instance.kill();
      }
    }

    async function withInstance<T>(source: string, work: (instance: Instance) => Promise<T>): Promise<T> {
      const instance = await sandbox.start(programOf(source));
      try {
        return await work(instance);
      } finally {
        await instance.kill();
      }
    }

    it('says what it can enforce', async () => {
      const { runtimes, layers } = await sandbox.probe();
      expect(runtimes).toContain('deno-2');
      for (const layer of layers) expect(layer.active || layer.remedy).toBeTruthy();
    });

    describe('JSON handlers', () => {
      it('gives the parsed body and sends the result as JSON', async () => {
        const { status, headers, text, usage } = await run('export default (input) => ({ got: input })', jobOf({ a: 1 }));
        expect([status, text]).toEqual([200, '{"got":{"a":1}}']);
        expect(headers).toEqual([['content-type', 'application/json']]);
        expect(usage.outcome).toBe('ok');
        expect(usage.runUs).toBeGreaterThan(0);
      });

      it('gives the query of a GET without a body, and null otherwise', async () => {
        const echo = 'export default (input) => ({ input })';
        const get = await run(echo, jobOf(undefined, { method: 'GET', path: '/x?a=1&b=2&b=3' }));
        expect(JSON.parse(get.text)).toEqual({ input: { a: '1', b: ['2', '3'] } });
        expect((await run(echo, jobOf(undefined))).text).toBe('{"input":null}');
      });

      it('gives text as a string and other bytes as a Uint8Array', async () => {
        const kind = 'export default (input) => [input.constructor.name, input.length]';
        const text = await run(kind, jobOf(null, { headers: [['Content-Type', 'text/plain; charset=utf-8']], body: utf8('häm') }));
        expect(text.text).toBe('["String",3]');
        const bytes = await run(kind, jobOf(null, { headers: [['content-type', 'image/png']], body: Uint8Array.of(0, 255, 1) }));
        expect(bytes.text).toBe('["Uint8Array",3]');
      });

      it('passes bytes and Responses through, and nothing as 204', async () => {
        const bytes = await run('export default () => Uint8Array.of(0, 255, 10)');
        expect([...bytes.bytes]).toEqual([0, 255, 10]);
        const response = await run('export default () => new Response("made", { status: 201, headers: { "x-own": "1" } })');
        expect([response.status, response.text, response.headers]).toEqual([201, 'made', expect.arrayContaining([['x-own', '1']])]);
        const empty = await run('export default () => undefined');
        expect([empty.status, empty.bytes.length]).toEqual([204, 0]);
      });

      it('ends with function-failed and the message alone when the handler throws', async () => {
        for (const source of [
          'export default () => { throw new Error("no luck") }',
          'export default async () => { throw new Error("no luck") }',
        ]) {
          const { status, usage, bytes } = await run(source);
          expect([status, usage.outcome, usage.error, bytes.length]).toEqual([502, 'function-failed', 'no luck', 0]);
        }
      });

      it('bounds the message of an error', async () => {
        const { usage } = await run('export default () => { throw new Error("x".repeat(1e6)) }');
        expect(usage.error).toHaveLength(limits.errorMessageChars);
      });

      it('ends with bad-response when the result is no JSON', async () => {
        for (const source of [
          'export default () => { const a = {}; a.a = a; return a }',
          'export default () => 1n',
          'export default () => () => 1',
        ]) {
          expect((await run(source)).usage).toMatchObject({
            outcome: 'bad-response',
            error: expect.stringContaining('not JSON') as string,
          });
        }
      });

      it('says so when the body is not the JSON that it claims to be', async () => {
        const { usage } = await run('export default (input) => input', jobOf(null, { body: utf8('{') }));
        expect(usage).toMatchObject({ outcome: 'function-failed', error: expect.stringContaining('not JSON') as string });
      });
    });

    describe('fetch handlers', () => {
      it('gives a Request with method, path, headers and body, and sends the Response', async () => {
        const source = `export default { async fetch(request, env, ctx) {
          const url = new URL(request.url);
          return Response.json({ method: request.method, path: url.pathname + url.search, host: url.host, own: request.headers.get('x-own'), body: await request.text(), job: ctx.jobId }, { status: 202 });
        } }`;
        const job = jobOf(null, {
          method: 'PUT',
          path: '/a/b?c=d',
          headers: [
            ['Host', 'orb.example'],
            ['X-Own', 'yes'],
          ],
          body: utf8('hello'),
        });
        const { status, text } = await run(source, job);
        expect(status).toBe(202);
        expect(JSON.parse(text)).toEqual({ method: 'PUT', path: '/a/b?c=d', host: 'orb.example', own: 'yes', body: 'hello', job: 'job-1' });
      });

      it('keeps repeated response headers apart', async () => {
        const { headers } = await run(
          'export default { fetch: () => new Response(null, { headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"]] }) }',
        );
        expect(headers.filter(([name]) => name === 'set-cookie').map(([, value]) => value)).toEqual(['a=1', 'b=2']);
      });

      it('ends with bad-response when it returns anything else', async () => {
        expect((await run('export default { fetch: () => ({ no: 1 }) }')).usage.outcome).toBe('bad-response');
      });
    });

    describe('Lambda handlers', () => {
      const show = 'export const handler = async (event, context) => ({ event, context })';

      it('gives an API Gateway v2 event for a web request', async () => {
        const job = jobOf(
          { a: 1 },
          {
            path: '/p/q?x=1&x=2',
            headers: [
              ['content-type', 'application/json'],
              ['cookie', 'k=v; l=w'],
              ['x-a', '1'],
              ['X-A', '2'],
            ],
          },
        );
        const { event } = JSON.parse((await run(show, job)).text);
        expect(event).toMatchObject({
          version: '2.0',
          rawPath: '/p/q',
          rawQueryString: 'x=1&x=2',
          queryStringParameters: { x: '1,2' },
          cookies: ['k=v', 'l=w'],
          headers: { 'x-a': '1,2' },
          body: '{"a":1}',
          isBase64Encoded: false,
          requestContext: { http: { method: 'POST', path: '/p/q' } },
        });
      });

      it('encodes bytes with base64 both ways', async () => {
        const source =
          'export const handler = (event) => Promise.resolve({ statusCode: 200, body: event.body, isBase64Encoded: event.isBase64Encoded })';
        const body = Uint8Array.of(0, 200, 255, 7);
        const { bytes } = await run(source, jobOf(null, { headers: [['content-type', 'image/png']], body }));
        expect([...bytes]).toEqual([...body]);
      });

      it('gives the bare JSON in event mode, and sends the bare result', async () => {
        const { text, status } = await run('export const handler = async (event) => event.n + 1', jobOf({ n: 1 }, { mode: 'event' }));
        expect([status, text]).toEqual([200, '2']);
      });

      it('follows statusCode, headers and cookies', async () => {
        const { status, headers, text } = await run(
          'export const handler = async () => ({ statusCode: 418, headers: { "x-n": 1 }, cookies: ["a=1", "b=2"], body: "tea" })',
        );
        expect([status, text]).toEqual([418, 'tea']);
        expect(headers).toEqual(
          expect.arrayContaining([
            ['x-n', '1'],
            ['set-cookie', 'a=1'],
            ['set-cookie', 'b=2'],
          ]),
        );
      });

      it('gives AWS’s context', async () => {
        const source = 'export const handler = async (event, context) => ({ ...context, left: context.getRemainingTimeInMillis() })';
        const context = JSON.parse((await run(source, jobOf(null, { mode: 'event' }))).text);
        expect(context).toMatchObject({
          awsRequestId: 'job-1',
          functionName: 'alice/hello',
          functionVersion: 'f'.repeat(64),
          memoryLimitInMB: '128',
          attempt: 1,
        });
        expect(context.left).toBeGreaterThan(0);
        expect(context.left).toBeLessThanOrEqual(10_000);
      });

      it('takes the old form with a callback', async () => {
        expect(await run('exports', jobOf(null)).catch((error: Error) => error)).toMatchObject({ code: 'load-failed' });
        expect(
          (await run('export const handler = (event, context, done) => done(null, { ok: event })', jobOf(1, { mode: 'event' }))).text,
        ).toBe('{"ok":1}');
      });
    });

    describe('ctx', () => {
      it('tells the job', async () => {
        const source = 'export default (i, ctx) => ({ ...JSON.parse(JSON.stringify(ctx)), left: ctx.deadline - Date.now() })';
        const ctx = JSON.parse((await run(source)).text);
        expect(ctx).toMatchObject({ callId: 'call-1', jobId: 'job-1', attempt: 1, function: 'alice/hello', version: 'f'.repeat(64) });
        expect(ctx.left).toBeGreaterThan(0);
        expect(ctx.left).toBeLessThanOrEqual(10_000);
      });

      it('answers first, then finishes what waitUntil was given, and counts its time', async () => {
        const source = `let done = false; export default (input, ctx) => {
          if (input === 'ask') return done;
          ctx.waitUntil(new Promise((resolve) => setTimeout(() => { done = true; resolve() }, 30)));
          return 'early';
        }`;
        await withInstance(source, async (instance) => {
          const first = await instance.invoke(jobOf('go'));
          expect(first.completed).toBeUndefined();
          expect(await textOf(first)).toBe('"early"');
          const usage = await first.finished;
          expect(usage.outcome).toBe('ok');
          expect(usage.runUs).toBeGreaterThan(25_000);
          expect(await textOf(await instance.invoke(jobOf('ask', { job: 'job-2' })))).toBe('true');
        });
      });

      it('ends what waitUntil was given with the time limit, and the caller keeps its answer', async () => {
        const source = `export default (input, ctx) => { ctx.waitUntil(new Promise(() => {})); return 'early'; }`;
        await withInstance(source, async (instance) => {
          const lines: string[] = [];
          const late = await instance.invoke(jobOf('go', { timeoutMs: 200, log: (_, line) => lines.push(line) }));
          expect([late.status, await textOf(late)]).toEqual([200, '"early"']);
          const { outcome, runUs } = await late.finished;
          expect([outcome, lines]).toEqual(['ok', ['waitUntil: cut off at the time limit']]);
          expect(runUs).toBeGreaterThan(190_000);
          // What still runs ends with its process.
          expect(instance.accepting).toBe(false);
          await instance.ended;
        });
      });

      it('fires its signal when the caller goes, and the outcome is cancelled', async () => {
        const source = `let seen = 'nothing'; export default (input, ctx) => input === 'ask' ? seen : new Promise((resolve) => {
          ctx.signal.addEventListener('abort', () => { seen = ctx.signal.reason.name; resolve('late') });
          console.log('waiting');
        })`;
        await withInstance(source, async (instance) => {
          const caller = new AbortController();
          const log = () => caller.abort();
          const result = await instance.invoke(jobOf('go', { signal: caller.signal, log }));
          expect((await result.finished).outcome).toBe('cancelled');
          expect(await textOf(await instance.invoke(jobOf('ask', { job: 'job-2' })))).toBe('"AbortError"');
          expect([instance.active, instance.accepting]).toEqual([0, true]);
        });
      });

      it('tells every shape of handler its variables, its caller and its job', async () => {
        const caller = { account: 'a'.repeat(64), name: 'carol', function: 'carol/total' };
        const { context } = jobOf(null);
        const facts = 'JSON.stringify([ctx.env.GREETING, ctx.caller, ctx.jobId, ctx.attempt, typeof ctx.deadline, ctx.signal.aborted])';
        for (const source of [
          `export default (input, ctx) => JSON.parse(${facts})`,
          `export default { fetch: (request, env, ctx) => new Response(env.GREETING === 'hello' && ${facts}) }`,
          `export const handler = async (event, ctx) => ({ statusCode: 200, body: ${facts} })`,
        ]) {
          const said = await run(source, jobOf(null, { context: { ...context, caller } }), { env: { GREETING: 'hello' } });
          expect(JSON.parse(said.text)).toEqual(['hello', caller, 'job-1', 1, 'number', false]);
        }
        expect((await run('export default (input, ctx) => [ctx.caller ?? null, ctx.env]')).text).toBe('[null,{}]');
      });

      it('writes console and ctx.log lines to the job they belong to', async () => {
        const source = `export default async (n, ctx) => { console.log('start', n); await new Promise((r) => setTimeout(r, 5)); console.error('end', { n }); ctx.log.warn('own', n) }`;
        await withInstance(source, async (instance) => {
          const lines: string[][] = [[], []];
          const results = await Promise.all(
            [0, 1].map((n) =>
              instance.invoke(jobOf(n, { job: `job-${n}`, log: (level, line) => void lines[n]!.push(`${level} ${line}`) })),
            ),
          );
          await Promise.all(results.map(({ finished }) => finished));
          expect(lines).toEqual([0, 1].map((n) => [`info start ${n}`, `error end { n: ${n} }`, `warn own ${n}`]));
        });
      });

      it('writes a failure with its cause and its own frames, by lines of the bundle; the caller gets the message alone', async () => {
        const fail = `\nconst deep = () => { throw new Error('deep') };\nconst fail = async () => { try { deep() } catch (cause) { throw new TypeError('no good', { cause }) } };\n`;
        for (const source of [
          `${fail}export default async () => { await fail() }`,
          `/*! orb bundle: commonjs */\n${fail}exports.default = fail;`,
        ]) {
          const first = source.startsWith('/*!') ? 3 : 2;
          const lines: string[] = [];
          const usage = await run(source, jobOf(null, { log: (level, line) => void lines.push(`${level} ${line}`) })).then(
            ({ finished }) => finished,
          );
          expect(usage).toMatchObject({ outcome: 'function-failed', error: 'no good' });
          expect(lines).toHaveLength(1);
          expect(lines[0]).toMatch(/^error TypeError: no good\n {4}at /);
          expect(lines[0]).toContain(`(function.js:${first + 1}:65)`);
          expect(lines[0]).toContain('\ncaused by Error: deep\n');
          expect(lines[0]).toContain(`at deep (function.js:${first}:28)`);
          expect(lines[0]).not.toMatch(/harness|anonymous|file:/);
        }
      });

      it('says of a stack that lies or explodes what can be said', async () => {
        for (const stack of ['get stack() { throw new Error("boom") }', 'stack = Symbol("s")', 'stack = { toString() { throw 1 } }']) {
          const source = `class Odd extends Error { ${stack} }; export default () => { throw new Odd('odd') }`;
          const lines: string[] = [];
          const usage = await run(source, jobOf(null, { log: (_level, line) => void lines.push(line) })).then(({ finished }) => finished);
          expect(usage).toMatchObject({ outcome: 'function-failed', error: 'odd' });
          expect(lines.join('\n')).toContain('odd');
        }
      });

      it('bounds the log in lines and length', async () => {
        const lines: string[] = [];
        await run(
          'export default () => { for (let i = 0; i < 5000; i++) console.log("x"); console.log("y".repeat(1e6)) }',
          jobOf(null, { log: (_level, line) => void lines.push(line) }),
        );
        expect(lines.length).toBe(1_000);
        const long: string[] = [];
        await run('export default () => console.log("y".repeat(1e6))', jobOf(null, { log: (_level, line) => void long.push(line) }));
        expect(long[0]!.length).toBeLessThanOrEqual(8_192);
      });
    });

    describe('bodies', () => {
      it('streams a request in and a response out, first byte before the last is made', async () => {
        const source = `export default { fetch: (request) => new Response(request.body.pipeThrough(new TransformStream({ transform(chunk, c) { c.enqueue(chunk) } }))) }`;
        await withInstance(source, async (instance) => {
          const more = Promise.withResolvers<void>();
          async function* body() {
            yield utf8('first ');
            await more.promise;
            yield utf8('last');
          }
          const result = await instance.invoke(jobOf(null, { headers: [], body: body() }));
          expect(result.body).not.toBeInstanceOf(Uint8Array);
          let text = '';
          for await (const piece of result.body as AsyncIterable<Uint8Array>) {
            text += fromUtf8(piece);
            more.resolve();
          }
          expect(text).toBe('first last');
          expect((await result.finished).outcome).toBe('ok');
        });
      });

      it('carries large bodies whole, both ways', async () => {
        const body = new Uint8Array(3_000_001);
        for (let i = 0; i < body.length; i++) body[i] = i * 31;
        const { bytes } = await run(
          'export default (input) => input',
          jobOf(null, { headers: [['content-type', 'application/octet-stream']], body }),
        );
        expect(Buffer.compare(bytes, body)).toBe(0);
      });

      it('stops a function that makes a body faster than it is read', async () => {
        const source = `let made = 0; export default (input) => input === 'ask' ? made : new Response(new ReadableStream({ pull(c) { made += 65536; c.enqueue(new Uint8Array(65536)) } }))`;
        await withInstance(source, async (instance) => {
          const result = await instance.invoke(jobOf('go'));
          const reader = (result.body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
          await reader.next();
          expect(Number(await textOf(await instance.invoke(jobOf('ask', { job: 'job-2' }))))).toBeLessThan(1_000_000);
          await reader.return?.();
          expect((await result.finished).outcome).toBe('cancelled');
        });
      });

      it('ends with response-too-large past the limit', async () => {
        const job = jobOf(null, { maxResponseBytes: 500_000 });
        const instance = await sandbox.start(programOf('export default () => new Uint8Array(1_000_000)'));
        const result = await instance.invoke(job);
        await expect(bodyOf(result)).rejects.toMatchObject({ code: 'response-too-large' });
        expect((await result.finished).outcome).toBe('response-too-large');
        await instance.kill();
      });

      it('ends a body with the error that the function threw in the middle of it', async () => {
        const source = `export default () => new Response(new ReadableStream({ async start(c) { c.enqueue(new Uint8Array(10)); await new Promise((r) => setTimeout(r, 5)); c.error(new Error('broke off')) } }))`;
        const instance = await sandbox.start(programOf(source));
        const result = await instance.invoke(jobOf(null));
        await expect(bodyOf(result)).rejects.toMatchObject({ code: 'function-failed', message: 'broke off' });
        expect(await result.finished).toMatchObject({ outcome: 'function-failed', error: 'broke off' });
        await instance.kill();
      });
    });

    describe('loading', () => {
      it('fails with the function’s own message', async () => {
        await expect(sandbox.start(programOf('\nthrow new Error("not today")'))).rejects.toMatchObject({
          code: 'load-failed',
          message: 'not today',
          details: { stack: expect.stringMatching(/^Error: not today\n {4}at .*function\.js:2:7/) as string },
        });
        await expect(sandbox.start(programOf('export const x = 1'))).rejects.toMatchObject({
          code: 'load-failed',
          message: expect.stringContaining('No handler') as string,
        });
      });

      it('loads CommonJS bundles, with Node built-ins', async () => {
        const source = `/*! orb bundle: commonjs */\nconst { createHash } = require('node:crypto'); module.exports = { __esModule: true, default: (input) => createHash('sha256').update(input).digest('hex').slice(0, 8) }`;
        expect((await run(source, jobOf('abc'))).text).toBe('"ba7816bf"');
      });

      it('finds the export that the manifest names', async () => {
        const source = 'export default () => 1; export const handler = () => 2; export const deep = { fetch: () => new Response("3") }';
        const answers = await Promise.all(
          ['auto', 'default', 'handler', 'deep', 'deep.fetch'].slice(0, 4).map((handler) => run(source, jobOf(null), { handler })),
        );
        expect(answers.map(({ text }) => text)).toEqual(['1', '1', '2', '3']);
      });
    });

    describe('many at once', () => {
      it('answers each caller with its own result', async () => {
        const source = 'export default async (n) => { if (n % 3) await new Promise((r) => setTimeout(r, n % 7)); return n }';
        await withInstance(source, async (instance) => {
          const answers = await Promise.all(
            Array.from({ length: 300 }, async (_, n) => textOf(await instance.invoke(jobOf(n, { job: `job-${n}` })))),
          );
          expect(answers).toEqual(Array.from({ length: 300 }, (_, n) => String(n)));
          expect(instance.active).toBe(0);
        });
      });

      it('ends all jobs under way as node-failed when it is killed, and refuses new ones', async () => {
        const instance = await sandbox.start(programOf('export default () => new Promise(() => {})'));
        const results = [1, 2].map((n) => instance.invoke(jobOf(n, { job: `job-${n}` })));
        await instance.kill();
        for (const result of results) expect((await (await result).finished).outcome).toBe('node-failed');
        await instance.ended;
        expect(instance.accepting).toBe(false);
        await expect(instance.invoke(jobOf(3))).rejects.toMatchObject({ code: 'sandbox-failed' });
      });

      it('times a job out, lets the others finish, then wants to be replaced', async () => {
        const source =
          'export default (input) => input === "never" ? new Promise(() => {}) : new Promise((r) => setTimeout(() => r("done"), 120))';
        const instance = await sandbox.start(programOf(source));
        const [late, good] = await Promise.all([
          instance.invoke(jobOf('never', { job: 'job-1', timeoutMs: 40 })),
          instance.invoke(jobOf('soon', { job: 'job-2' })),
        ]);
        expect((await late.finished).outcome).toBe('timed-out');
        expect(late.status).toBe(504);
        expect((await good.finished).outcome).toBe('ok');
        await instance.ended;
      });
    });
  });
}
