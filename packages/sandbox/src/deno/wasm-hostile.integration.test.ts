import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jobOf, programOf, textOf } from '../conformance.ts';
import { wasi, wasmOf } from '../conformance/wasm.ts';
import type { Instance } from '../port.ts';
import { DenoSandbox } from './deno-sandbox.ts';

const module = (body: string, imports = '') => `(module ${imports} (memory (export "memory") 1) (func $start (export "_start") ${body}))`;
const write = wasi('fd_write', 'i32 i32 i32 i32');
const flood = (fd: number, bytes: number) =>
  module(
    `(i32.store (i32.const 4) (i32.const ${bytes})) (i32.store (i32.const 0) (i32.const 16))
     (loop $on (drop (call $fd_write (i32.const ${fd}) (i32.const 0) (i32.const 1) (i32.const 8))) (br $on))`,
    write,
  );
/** Takes page after page and writes to each, until there is none. */
const grow = (then: string) =>
  module(`(local $page i32) (block $full (loop $on
    (br_if $full (i32.eq (local.tee $page (memory.grow (i32.const 16))) (i32.const -1)))
    (memory.fill (i32.mul (local.get $page) (i32.const 65536)) (i32.const 1) (i32.const 1048576)) (br $on))) ${then}`);

/** A module, how its job must end, and which layer sees to that. */
type Attack = readonly [name: string, text: string, outcome: string | RegExp, layer: string, timeoutMs?: number];

const attacks: readonly Attack[] = [
  ['an endless loop', module('(loop $on (br $on))'), 'timed-out', 'the host’s clock', 200],
  [
    'a sleep without end',
    module(
      `(i64.store (i32.const 24) (i64.const -1)) (drop (call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))`,
      wasi('poll_oneoff', 'i32 i32 i32 i32'),
    ),
    'timed-out',
    'the host’s clock',
    200,
  ],
  [
    'a memory bomb that never gives up',
    grow('(loop $on (br $on))'),
    /out-of-memory|timed-out/,
    'V8’s limit of pages, and the memory watch',
    3_000,
  ],
  ['one giant memory', '(module (memory (export "memory") 65536) (func (export "_start")))', 'out-of-memory', 'V8’s limit of pages'],
  [
    'a table bomb',
    '(module (memory (export "memory") 1) (table 1 funcref) (func (export "_start") (loop $on (br_if $on (i32.ne (table.grow (ref.null func) (i32.const 100000)) (i32.const -1))) unreachable)))',
    /out-of-memory|function-failed/,
    'the engine’s limit of tables',
  ],
  ['recursion without end', module('(call $start)'), 'function-failed', 'the engine’s stack limit'],
  ['a flood of standard output', flood(1, 65_520), 'response-too-large', 'the limit of an answer'],
  ['a flood of tiny writes', flood(1, 1), 'response-too-large', 'the limit of an answer', 20_000],
  ['a flood of standard error without a line’s end', flood(2, 65_520), 'timed-out', 'the limit of a log, and the host’s clock', 500],
  [
    'a list of buffers beyond its memory',
    module('(drop (call $fd_write (i32.const 1) (i32.const 65532) (i32.const 1000000) (i32.const 0)))', write),
    'ok',
    'the bounds of its memory',
  ],
  ['a trap', module('unreachable'), 'function-failed', 'WebAssembly itself'],
];

describe('WebAssembly that means harm', () => {
  const sandbox = new DenoSandbox();
  let other: Instance;
  beforeAll(async () => {
    other = await sandbox.start(programOf('export default (n) => n + 1'));
  });
  afterAll(() => sandbox.close());

  for (const [name, text, outcome, layer, timeoutMs = 10_000] of attacks)
    it(`${name}: stopped by ${layer}`, async () => {
      const instance = await sandbox.start(await wasmOf(text));
      try {
        const running = instance.invoke(jobOf(undefined, { timeoutMs }));
        expect(await textOf(await other.invoke(jobOf(41, { job: 'other' })))).toBe('42');
        const usage = await (await running).finished;
        expect(usage.outcome).toMatch(outcome instanceof RegExp ? outcome : new RegExp(`^${outcome}$`));
        if (outcome !== 'ok') expect(usage.error).toMatch(/./);
        expect(usage.error ?? '').not.toMatch(/\/work|\/packages\/|file:\/\//);
        expect(usage.peakMemoryKiB).toBeLessThan(300 * 1024);
        expect(await textOf(await other.invoke(jobOf(41, { job: 'other' })))).toBe('42');
      } finally {
        await instance.kill();
      }
    });

  it('gets memory up to its limit, and is told when there is no more', async () => {
    const instance = await sandbox.start(await wasmOf(grow(''), { memoryMiB: 256 }));
    const usage = await (await instance.invoke(jobOf(undefined))).finished;
    expect(usage.outcome).toMatch(/^(ok|out-of-memory)$/);
    expect(usage.peakMemoryKiB).toBeGreaterThan(128 * 1024);
    expect(usage.peakMemoryKiB).toBeLessThan(300 * 1024);
    await instance.kill();
  });

  it('is ended at once when its caller goes: it could not be told', async () => {
    const instance = await sandbox.start(await wasmOf(module('(loop $on (br $on))')));
    const caller = new AbortController();
    const running = instance.invoke(jobOf(undefined, { timeoutMs: 60_000, signal: caller.signal }));
    caller.abort();
    expect((await (await running).finished).outcome).toBe('cancelled');
    await instance.ended;
  });

  it('is given up when it takes too long to be compiled', async () => {
    const wide = Array.from(
      { length: 20_000 },
      (_, i) => `(func (export "f${i}") ${'(drop (i32.add (i32.const 1) (i32.const 2)))'.repeat(20)})`,
    );
    const program = await wasmOf(`(module (memory (export "memory") 1) (func (export "_start")) ${wide.join('')})`, { startTimeoutMs: 1 });
    await expect(sandbox.start(program)).rejects.toMatchObject({ code: 'timed-out' });
  });
});
