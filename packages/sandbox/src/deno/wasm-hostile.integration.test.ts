import { afterAll, describe, expect, it } from 'vitest';
import { jobOf } from '../conformance.ts';
import { grow } from '../../test/escape/web-assembly.ts';
import { wasmOf } from '../conformance/wasm.ts';
import { DenoSandbox } from './deno-sandbox.ts';

const endless = '(module (memory (export "memory") 1) (func (export "_start") (loop $on (br $on))))';

describe('WebAssembly that means harm', () => {
  const sandbox = new DenoSandbox();
  afterAll(() => sandbox.close());

  it('gets memory up to its limit, and is told when there is no more', async () => {
    const instance = await sandbox.start(await wasmOf(grow(''), { memoryMiB: 256 }));
    const usage = await (await instance.invoke(jobOf(undefined))).finished;
    expect(usage.outcome).toMatch(/^(ok|out-of-memory)$/);
    expect(usage.peakMemoryKiB).toBeGreaterThan(128 * 1024);
    expect(usage.peakMemoryKiB).toBeLessThan(300 * 1024);
    await instance.kill();
  });

  it('is ended at once when its caller goes: it could not be told', async () => {
    const instance = await sandbox.start(await wasmOf(endless));
    const caller = new AbortController();
    const running = instance.invoke(jobOf(undefined, { timeoutMs: 60_000, signal: caller.signal }));
    caller.abort();
    expect((await (await running).finished).outcome).toBe('cancelled');
    await instance.ended;
  });
});
