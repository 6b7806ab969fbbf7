import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jobOf, programOf, textOf } from '../conformance.ts';
import { InstancePool } from '../instance-pool.ts';
import type { Instance } from '../port.ts';
import { DenoSandbox } from './deno-sandbox.ts';

describe('code that means harm', () => {
  const sandbox = new DenoSandbox();
  let other: Instance;
  beforeAll(async () => {
    other = await sandbox.start(programOf('export default (n) => n + 1'));
  });
  afterAll(() => sandbox.close());

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
});
