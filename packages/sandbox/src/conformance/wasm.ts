import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limits, utf8 } from '@orb/protocol';
import loadWabt from 'wabt';
import type { Instance, Invocation, Sandbox, WasmProgram } from '../port.ts';
import { bodyOf, jobOf, textOf } from './jobs.ts';

/** A program of WebAssembly text, with defaults. */
export async function wasmOf(text: string, more: Partial<WasmProgram> = {}): Promise<WasmProgram> {
  const wabt = await loadWabt();
  const module = wabt.parseWat('test.wat', text);
  try {
    const code = new Uint8Array(module.toBinary({}).buffer);
    return { kind: 'wasm', sha256: '0'.repeat(64), code, handler: 'auto', memoryMiB: 128, startTimeoutMs: 10_000, ...more };
  } finally {
    module.destroy();
  }
}

/** Imports that the modules below use. */
const wasi = (name: string, parameters: string) =>
  `(import "wasi_snapshot_preview1" "${name}" (func $${name} (param ${parameters}) (result i32)))`;
const exit = '(import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))';

/** Copies standard input to standard output, in pieces of 4 KiB. */
const cat = `(module
  ${wasi('fd_read', 'i32 i32 i32 i32')} ${wasi('fd_write', 'i32 i32 i32 i32')}
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 64))
    (loop $more
      (i32.store (i32.const 4) (i32.const 4096))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (if (i32.load (i32.const 8)) (then
        (i32.store (i32.const 4) (i32.load (i32.const 8)))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
        (br $more))))))`;

/** Writes what `get` lists, arguments or environment, to standard output: NUL after each. */
const list = (what: 'args' | 'environ') => `(module
  ${wasi(`${what}_sizes_get`, 'i32 i32')} ${wasi(`${what}_get`, 'i32 i32')} ${wasi('fd_write', 'i32 i32 i32 i32')}
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $${what}_sizes_get (i32.const 0) (i32.const 20)))
    (drop (call $${what}_get (i32.const 32) (i32.const 1024)))
    (i32.store (i32.const 16) (i32.const 1024))
    (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 28)))))`;

/** Writes the numbers that its calls answer with, one byte each. */
const answers = (calls: readonly string[], imports: string) => `(module
  ${wasi('fd_write', 'i32 i32 i32 i32')} ${imports}
  (memory (export "memory") 1) (data (i32.const 512) "/etc/passwd")
  (func (export "_start")
    ${calls.map((call, i) => `(i32.store8 (i32.const ${256 + i}) ${call})`).join('\n')}
    (i32.store (i32.const 0) (i32.const 256)) (i32.store (i32.const 4) (i32.const ${calls.length}))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`;

/** A reactor: `handle` gives its input back and counts its calls in `count`; `shout` fails with its input as message. */
const reactor = `(module
  (import "orb" "fail" (func $fail (param i32 i32))) (import "orb" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 4) (global $calls (mut i32) (i32.const 0)) (global $ready (mut i32) (i32.const 0))
  (func (export "_initialize") (global.set $ready (i32.const 48)))
  (func (export "orb_alloc") (param $bytes i32) (result i32) (i32.const 1024))
  (func (export "handle") (param $at i32) (param $bytes i32) (result i64)
    (call $log (i32.const 2) (local.get $at) (local.get $bytes))
    (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32)) (i64.extend_i32_u (local.get $bytes))))
  (func (export "count") (param i32 i32) (result i64)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store8 (i32.const 16) (i32.add (global.get $ready) (global.get $calls)))
    (i64.or (i64.shl (i64.const 16) (i64.const 32)) (i64.const 1)))
  (func (export "shout") (param $at i32) (param $bytes i32) (result i64) (call $fail (local.get $at) (local.get $bytes)) (i64.const 0))
  (func (export "trap") (param i32 i32) (result i64) (global.set $calls (i32.add (global.get $calls) (i32.const 1))) unreachable)
  (func (export "wrong") (param i32 i32) (result i32) (i32.const 7))
  (func (export "beyond") (param i32 i32) (result i64) (i64.const 0x7fffffff00000010)))`;

/** What every sandbox that runs WebAssembly does with it. */
export function wasmConformance({ name, create }: { readonly name: string; create(): Sandbox }): void {
  describe(`WebAssembly: ${name}`, () => {
    let sandbox: Sandbox;
    beforeAll(() => {
      sandbox = create();
    });
    afterAll(() => sandbox.close());

    async function withInstance<T>(text: string, more: Partial<WasmProgram>, work: (instance: Instance) => Promise<T>): Promise<T> {
      const instance = await sandbox.start(await wasmOf(text, more));
      try {
        return await work(instance);
      } finally {
        await instance.kill();
      }
    }

    function run(text: string, job: Invocation = jobOf(undefined), more: Partial<WasmProgram> = {}) {
      return withInstance(text, more, async (instance) => {
        const lines: string[] = [];
        const result = await instance.invoke({ ...job, log: (level, line) => lines.push(`${level}: ${line}`) });
        const bytes = await bodyOf(result);
        return { ...result, bytes, text: Buffer.from(bytes).toString(), usage: await result.finished, lines };
      });
    }

    it('is offered as wasi-1', async () => {
      expect((await sandbox.probe()).runtimes).toContain('wasi-1');
    });

    describe('commands', () => {
      it('read the body as standard input and answer with standard output, whole and in pieces', async () => {
        const said = await run(cat, jobOf({ a: [1, 'é'] }));
        expect([said.status, said.text, said.headers]).toEqual([200, '{"a":[1,"é"]}', [['content-type', 'application/json']]]);
        expect(said.usage.outcome).toBe('ok');
        const large = Buffer.alloc(1_000_000, 'orb ');
        const streamed = (async function* () {
          for (let at = 0; at < large.length; at += 50_000) yield new Uint8Array(large.subarray(at, at + 50_000));
        })();
        const back = await run(cat, { ...jobOf(undefined), body: streamed });
        expect(Buffer.from(back.bytes).equals(large)).toBe(true);
        expect(back.headers).toEqual([['content-type', 'text/plain; charset=utf-8']]);
        expect((await run(cat, { ...jobOf(undefined), body: Uint8Array.of(0xff, 0) })).headers).toEqual([
          ['content-type', 'application/octet-stream'],
        ]);
        expect((await run(cat)).status).toBe(204);
      });

      it('get arguments from the query, and an environment of their own', async () => {
        const words = await run(list('args'), jobOf(undefined, { path: '/?arg=-l&other=1&arg=a%20b' }));
        expect(words.text).toBe('function\0-l\0a b\0');
        const { text } = await run(list('environ'), jobOf(undefined), { env: { GREETING: 'hello' } });
        expect(text.split('\0')).toEqual(expect.arrayContaining(['GREETING=hello', 'ORB_FUNCTION=alice/hello', 'ORB_ATTEMPT=1', '']));
      });

      it('start anew for each call', async () => {
        const once = `(module ${wasi('fd_write', 'i32 i32 i32 i32')} (memory (export "memory") 1) (global $n (mut i32) (i32.const 48))
          (func (export "_start") (global.set $n (i32.add (global.get $n) (i32.const 1))) (i32.store8 (i32.const 64) (global.get $n))
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 1))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`;
        await withInstance(once, {}, async (instance) => {
          for (let i = 0; i < 3; i++) expect(await textOf(await instance.invoke(jobOf(undefined)))).toBe('1');
        });
      });

      it('end well with exit code 0, and fail with any other and their last words', async () => {
        const ends = (code: number) => `(module ${wasi('fd_write', 'i32 i32 i32 i32')} ${exit} (memory (export "memory") 1)
          (data (i32.const 64) "first\\nno such tea\\n")
          (func (export "_start") (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 18))
            (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
            (call $proc_exit (i32.const ${code})) (unreachable)))`;
        expect(await run(ends(0))).toMatchObject({ status: 204, usage: { outcome: 'ok' }, lines: ['error: first', 'error: no such tea'] });
        expect(await run(ends(3))).toMatchObject({
          status: 502,
          usage: { outcome: 'function-failed', error: 'The program ended with exit code 3: no such tea' },
        });
      });

      it('have clocks, random bytes and sleep', async () => {
        const text = `(module ${wasi('clock_time_get', 'i32 i64 i32')} ${wasi('random_get', 'i32 i32')} ${wasi('poll_oneoff', 'i32 i32 i32 i32')}
          ${wasi('fd_write', 'i32 i32 i32 i32')} (memory (export "memory") 3)
          (func (export "_start")
            (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 256)))
            (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 264)))
            (i32.store (i32.const 528) (i32.const 1)) (i64.store (i32.const 536) (i64.const 30000000))
            (drop (call $poll_oneoff (i32.const 512) (i32.const 640) (i32.const 1) (i32.const 700)))
            (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 272)))
            (drop (call $random_get (i32.const 1000) (i32.const 100000)))
            (i64.store (i32.const 280) (i64.load (i32.const 100990)))
            (i32.store (i32.const 0) (i32.const 256)) (i32.store (i32.const 4) (i32.const 32))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`;
        const { bytes } = await run(text);
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        expect(Math.abs(Number(view.getBigUint64(0, true) / 1_000_000n) - Date.now())).toBeLessThan(60_000);
        expect(Number(view.getBigUint64(16, true) - view.getBigUint64(8, true))).toBeGreaterThanOrEqual(29_000_000);
        expect(view.getBigUint64(24, true)).not.toBe(0n);
      });

      it('have no files, no folders and no sockets, and are told of addresses outside their memory', async () => {
        const imports = [
          wasi('fd_prestat_get', 'i32 i32'),
          wasi('path_open', 'i32 i32 i32 i32 i32 i64 i64 i32 i32'),
          wasi('fd_readdir', 'i32 i32 i32 i64 i32'),
          wasi('sock_accept', 'i32 i32 i32'),
          wasi('random_get', 'i32 i32'),
          wasi('fd_read', 'i32 i32 i32 i32'),
        ].join(' ');
        const open = (folder: number) =>
          `(call $path_open (i32.const ${folder}) (i32.const 0) (i32.const 512) (i32.const 11) (i32.const 0) (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 64))`;
        const { bytes } = await run(
          answers(
            [
              '(call $fd_prestat_get (i32.const 3) (i32.const 64))',
              open(3),
              open(0),
              '(call $fd_readdir (i32.const 3) (i32.const 64) (i32.const 64) (i64.const 0) (i32.const 72))',
              '(call $sock_accept (i32.const 3) (i32.const 0) (i32.const 64))',
              '(call $random_get (i32.const -8) (i32.const 64))',
              '(call $fd_read (i32.const 0) (i32.const -4) (i32.const 1) (i32.const 64))',
              '(call $fd_read (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64))',
            ],
            imports,
          ),
        );
        expect([...bytes]).toEqual([8, 8, 8, 8, 58, 21, 21, 8]);
      });
    });

    describe('reactors', () => {
      it('are given the body by address and length, and answer so', async () => {
        const said = await run(reactor, jobOf({ b: 2 }));
        expect([said.status, said.text, said.lines]).toEqual([200, '{"b":2}', ['warn: {"b":2}']]);
        expect(said.headers).toEqual([['content-type', 'application/json']]);
        expect((await run(reactor, jobOf(undefined, { method: 'GET', path: '/?a=1&a=2' }))).text).toBe('{"a":["1","2"]}');
        expect((await run(reactor)).text).toBe('null');
      });

      it('stay between calls, initialised once; the handler names the export', async () => {
        await withInstance(reactor, { handler: 'count' }, async (instance) => {
          for (const expected of ['1', '2', '3']) expect(await textOf(await instance.invoke(jobOf(null)))).toBe(expected);
        });
      });

      it('fail with a message of their own', async () => {
        const { usage } = await run(reactor, { ...jobOf(null), body: utf8('no such tea') }, { handler: 'shout' });
        expect(usage).toMatchObject({ outcome: 'function-failed', error: 'no such tea' });
      });

      it('start anew after a trap', async () => {
        await withInstance(reactor, { handler: 'trap' }, async (instance) => {
          for (let i = 0; i < 2; i++) {
            const usage = await (await instance.invoke(jobOf(null))).finished;
            expect(usage).toMatchObject({ outcome: 'function-failed', error: 'unreachable', errorType: 'RuntimeError' });
          }
        });
      });

      it('fail when they answer with what is no place in their memory', async () => {
        expect((await run(reactor, jobOf(null), { handler: 'wrong' })).usage).toMatchObject({
          outcome: 'function-failed',
          error: expect.stringMatching(/must return an i64/) as string,
        });
        expect((await run(reactor, jobOf(null), { handler: 'beyond' })).usage.outcome).toBe('function-failed');
      });
    });

    describe('is not loaded', () => {
      const empty = '(memory (export "memory") 1)';
      it.each<[string, string | Uint8Array, string, RegExp]>([
        ['what is no module', utf8('hello'), 'auto', /expected magic word|WebAssembly/],
        ['a module that is cut off', Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1), 'auto', /WebAssembly/],
        ['one that imports what there is not', `(module (import "env" "steal" (func)) ${empty})`, 'auto', /imports env\.steal/],
        [
          'one that imports a system function of another kind',
          `(module (import "wasi_snapshot_preview1" "fd_write" (memory 1)) ${empty})`,
          'auto',
          /fd_write \(memory\)/,
        ],
        [
          'one that imports another version of WASI',
          `(module (import "wasi_unstable" "fd_write" (func)) ${empty})`,
          'auto',
          /wasi_unstable/,
        ],
        ['one without an entry', `(module ${empty})`, 'auto', /neither _start/],
        ['one without the export that is named', `(module ${empty})`, 'add', /no function add/],
        ['one that keeps its memory to itself', '(module (memory 1) (func (export "_start")))', 'auto', /memory/],
        ['a reactor that takes no input', `(module ${empty} (func (export "handle")))`, 'auto', /orb_alloc/],
      ])('%s', async (_name, source, handler, words) => {
        const program =
          typeof source === 'string' ? await wasmOf(source, { handler }) : { ...(await wasmOf(`(module)`)), code: source, handler };
        await expect(sandbox.start(program)).rejects.toMatchObject({
          code: 'load-failed',
          message: expect.stringMatching(words) as string,
        });
      });
    });

    it('answers no more than the limit of a body', async () => {
      const flood = `(module ${wasi('fd_write', 'i32 i32 i32 i32')} (memory (export "memory") 2)
        (func (export "_start") (i32.store (i32.const 4) (i32.const 65536))
          (loop $on (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 65540))) (br $on))))`;
      expect((await run(flood)).usage).toMatchObject({
        outcome: 'response-too-large',
        error: expect.stringContaining(String(limits.bodyBytes)) as string,
      });
    });
  });
}
