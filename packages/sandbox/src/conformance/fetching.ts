import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromUtf8, limits, OrbError, utf8 } from '@orb/protocol';
import type { Invocation, Sandbox, WebRequest, WebResponse } from '../port.ts';
import { jobOf, programOf, textOf } from './jobs.ts';

const answer = (body: AsyncIterable<Uint8Array>, more: Partial<WebResponse> = {}): WebResponse => ({
  url: 'https://api.test/',
  redirected: false,
  status: 200,
  statusText: 'OK',
  headers: [['content-type', 'application/json']],
  body,
  ...more,
});
async function* pieces(...texts: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield typeof text === 'string' ? utf8(text) : text;
}

async function bytesOf({ body = new Uint8Array() }: WebRequest): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body);
  const all: Uint8Array[] = [];
  for await (const piece of body) all.push(piece);
  return Buffer.concat(all);
}

/** How a function's `fetch` reaches the host, and what comes back. Where it may go is for the host to say. */
export function fetchConformance({ name, create }: { readonly name: string; create(): Sandbox }): void {
  describe(`fetch inside the sandbox: ${name}`, () => {
    let sandbox: Sandbox;
    beforeAll(() => {
      sandbox = create();
    });
    afterAll(() => sandbox.close());

    /** Runs `body` in a handler; what it returns. */
    async function run(body: string, fetch?: (request: WebRequest) => Promise<WebResponse>, more: Partial<Invocation> = {}) {
      const instance = await sandbox.start(programOf(`export default async (input, ctx) => { ${body} }`));
      try {
        const result = await instance.invoke(jobOf(null, { ...more, ...(fetch && { fetch }) }));
        const text = await textOf(result);
        const usage = await result.finished;
        return { usage, value: usage.outcome === 'ok' && text !== '' ? (JSON.parse(text) as unknown) : undefined };
      } finally {
        await instance.kill();
      }
    }

    it('sends method, address, headers and body, and gives a Response', async () => {
      const seen: WebRequest[] = [];
      const { value } = await run(
        `const r = await fetch(new URL('https://api.test/teas?a=1#x'), { method: 'POST', headers: { 'X-Own': 'é'.normalize() && 'a' }, body: JSON.stringify({ b: 2 }) });
         return [r.status, r.statusText, r.ok, r.url, r.redirected, r.headers.get('x-two'), await r.json(), r.constructor.name];`,
        async (request) => {
          seen.push(request);
          expect((await bytesOf(request)).toString()).toBe('{"b":2}');
          return answer(pieces('{"a":', '1}'), {
            url: 'https://api.test/other',
            redirected: true,
            status: 201,
            statusText: 'Made',
            headers: [
              ['x-two', 'b'],
              ['x-two', 'c'],
            ],
          });
        },
      );
      expect(value).toEqual([201, 'Made', true, 'https://api.test/other', true, 'b, c', { a: 1 }, 'Response']);
      expect(seen[0]).toMatchObject({
        url: expect.stringMatching(/^https:\/\/api\.test\/teas\?a=1/) as string,
        method: 'POST',
        redirect: 'follow',
      });
      expect(Object.fromEntries(seen[0]!.headers)).toMatchObject({ 'x-own': 'a', 'content-type': 'text/plain;charset=UTF-8' });
    });

    it('carries large bodies both ways, no faster than they are read', async () => {
      const size = 3_000_000;
      let made = 0;
      let taken = 0;
      const { value } = await run(
        `const up = new Uint8Array(${size}); for (let i = 0; i < up.length; i += 997) up[i] = i;
         const r = await fetch('https://api.test/', { method: 'PUT', body: up });
         const reader = r.body.getReader(); await reader.read(); await new Promise((done) => setTimeout(done, 50));
         const before = await (await fetch('https://api.test/made')).json();
         let bytes = 0; for (;;) { const { done, value } = await reader.read(); if (done) break; bytes += value.length; }
         return [before, bytes];`,
        async (request) => {
          if (request.url.endsWith('/made')) return answer(pieces(String(made)));
          const up = await bytesOf(request);
          expect([up.length, up[997], request.length]).toEqual([size, 997 % 256, size]);
          return answer(
            (async function* () {
              for (; made < 40; made++) {
                yield new Uint8Array(65_536);
                taken++;
              }
            })(),
          );
        },
      );
      const [before, bytes] = value as [number, number];
      expect(before).toBeLessThan(12);
      expect(bytes).toBeGreaterThan(39 * 65_536 - 65_537);
      expect(taken).toBe(40);
    });

    it('streams a body as the function makes it, while the answer comes', async () => {
      const { value } = await run(
        `let told; const heard = new Promise((resolve) => { told = resolve; });
         const body = new ReadableStream({ async start(c) { c.enqueue(new TextEncoder().encode('one')); await heard; c.enqueue(new TextEncoder().encode('two')); c.close(); } });
         const r = await fetch('https://api.test/', { method: 'POST', body, duplex: 'half' });
         const reader = r.body.getReader(); const first = new TextDecoder().decode((await reader.read()).value); told();
         let rest = ''; for (;;) { const { done, value } = await reader.read(); if (done) break; rest += new TextDecoder().decode(value); }
         return [first, rest];`,
        async ({ body }) => answer(body as AsyncIterable<Uint8Array>),
      );
      expect(value).toEqual(['one', 'two']);
    });

    it('unfolds what is compressed, in its own memory', async () => {
      const { gzipSync } = await import('node:zlib');
      const { value } = await run(`return await (await fetch('https://api.test/')).text();`, async () =>
        answer(pieces(new Uint8Array(gzipSync('unfolded'))), { headers: [['content-encoding', 'gzip']] }),
      );
      expect(value).toBe('unfolded');
    });

    it('fails as the web’s fetch does, with a code: refused, broken off, without a network', async () => {
      const tell = `try { const r = await fetch('https://api.test/'); return [r.status, await r.text()]; } catch (e) { return [e.name, e.code, e.message]; }`;
      expect((await run(tell)).value).toEqual([
        'TypeError',
        'forbidden',
        'This function has no network: it is deployed without --network.',
      ]);
      const refuse = async () => Promise.reject(new OrbError('forbidden', { message: 'not there', details: { secret: 1 } }));
      expect((await run(tell, refuse)).value).toEqual(['TypeError', 'forbidden', 'not there']);
      const broken = async () =>
        answer(
          (async function* () {
            yield utf8('half');
            throw new OrbError('fetch-failed', { message: 'cut' });
          })(),
        );
      expect((await run(tell, broken)).value).toEqual(['TypeError', 'fetch-failed', 'cut']);
    });

    it('aborts when the function does, and when its job is over', async () => {
      const signals: AbortSignal[] = [];
      const hang = (request: WebRequest) => {
        signals.push(request.signal);
        return new Promise<WebResponse>(() => undefined);
      };
      const own = await run(
        `try { await fetch('https://api.test/', { signal: AbortSignal.timeout(20) }); } catch (e) { return e.name; }`,
        hang,
      );
      expect([own.value, signals[0]!.aborted]).toEqual(['TimeoutError', true]);
      await run(`fetch('https://api.test/').catch(() => {}); await new Promise((done) => setTimeout(done, 20)); return 1;`, hang);
      expect(signals[1]!.aborted).toBe(true);
      const late = await run(`await fetch('https://api.test/');`, hang, { timeoutMs: 100 });
      expect([late.usage.outcome, signals[2]!.aborted]).toEqual(['timed-out', true]);
    });

    it('makes at most so many requests, and so many at once', async () => {
      let atOnce = 0;
      let most = 0;
      const slow = async () => {
        most = Math.max(most, ++atOnce);
        await new Promise((resolve) => setTimeout(resolve, 5));
        atOnce--;
        return answer(pieces('1'));
      };
      const { value } = await run(
        `const all = await Promise.allSettled(Array.from({ length: ${limits.fetchesPerJob + 3} }, async () => (await fetch('https://api.test/')).json()));
         return [all.filter(({ status }) => status === 'fulfilled').length, all.filter(({ reason }) => reason?.code === 'fetch-failed').length];`,
        slow,
      );
      expect(value).toEqual([limits.fetchesPerJob, 3]);
      expect(most).toBe(limits.fetchesAtOnce);
    });

    it('gives up a place when an answer is not wanted any more', async () => {
      const endless = async () =>
        answer(
          (async function* () {
            for (;;) yield new Uint8Array(65_536);
          })(),
        );
      const { value } = await run(
        `for (let i = 0; i < ${limits.fetchesAtOnce + 2}; i++) await (await fetch('https://api.test/')).body.cancel(); return 'done';`,
        endless,
      );
      expect(value).toBe('done');
    });

    it('works under waitUntil, and belongs to its own job', async () => {
      const seen: string[] = [];
      const { usage } = await run(
        `ctx.waitUntil((async () => { await new Promise((done) => setTimeout(done, 10)); await fetch('https://api.test/late'); })()); return 1;`,
        async ({ url }) => {
          seen.push(url);
          return answer(pieces('x'));
        },
      );
      expect([usage.outcome, seen]).toEqual(['ok', ['https://api.test/late']]);
      expect(fromUtf8(utf8('x'))).toBe('x');
    });
  });
}
