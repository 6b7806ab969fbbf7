import { describe, expect, it } from 'vitest';
import { InstancePool, type PoolClock, type PooledProgram } from './instance-pool.ts';
import type { Instance, Program, Sandbox } from './port.ts';

/** A clock that moves only when told to. */
class FakeClock implements PoolClock {
  #now = 0;
  #timers = new Set<{ at: number; work: () => void }>();

  now(): number {
    return this.#now;
  }

  after(ms: number, work: () => void): () => void {
    const timer = { at: this.#now + ms, work };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const timer of this.#timers) {
      if (timer.at > this.#now) continue;
      this.#timers.delete(timer);
      timer.work();
    }
  }
}

class FakeInstance implements Instance {
  readonly active = 0;
  readonly memoryKiB = 0;
  accepting = true;
  readonly #end = Promise.withResolvers<void>();
  readonly ended = this.#end.promise;

  invoke(): Promise<never> {
    return Promise.reject(new Error('not in these tests'));
  }

  kill(): Promise<void> {
    this.accepting = false;
    this.#end.resolve();
    return this.ended;
  }
}

/** Starts instances when the test says so. */
class FakeSandbox implements Sandbox {
  readonly started: { program: Program; instance: FakeInstance }[] = [];
  before: (program: Program) => Promise<void> = () => Promise.resolve();

  probe(): Promise<never> {
    return Promise.reject(new Error('not in these tests'));
  }

  async start(program: Program): Promise<Instance> {
    await this.before(program);
    const instance = new FakeInstance();
    this.started.push({ program, instance });
    return instance;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** MiB that spares may take now. */
  sparesMiB: number | undefined;

  allowSpares(memoryMiB: number): void {
    this.sparesMiB = memoryMiB;
  }
}

function program(version: string, more: Partial<PooledProgram> = {}): PooledProgram {
  const memoryMiB = more.memoryMiB ?? 128;
  return {
    tenant: 'alice',
    version,
    concurrency: 2,
    memoryMiB,
    load: () =>
      Promise.resolve({ kind: 'bundle', sha256: version, code: new Uint8Array(), handler: 'auto', memoryMiB, startTimeoutMs: 1_000 }),
    ...more,
  };
}

function setUp(memoryMiB = 1_024, sparesMiB = 0) {
  const clock = new FakeClock();
  const sandbox = new FakeSandbox();
  return { clock, sandbox, pool: new InstancePool({ memoryMiB, idleMs: 1_000, sparesMiB }, { sandbox, clock }) };
}

describe('instance pool', () => {
  it('reports set-up time to who waited for a start, and zero to who found it warm', async () => {
    const { pool, sandbox, clock } = setUp();
    sandbox.before = () => {
      clock.advance(30);
      return Promise.resolve();
    };
    const first = await pool.acquire(program('v'));
    const second = await pool.acquire(program('v'));
    expect([first.setupUs, second.setupUs]).toEqual([30_000, 0]);
    expect(second.instance).toBe(first.instance);
  });

  it('loads the code only when an instance has to be started', async () => {
    const { pool } = setUp();
    await pool.acquire(program('v'));
    await expect(pool.acquire(program('v', { load: () => Promise.reject(new Error('not needed')) }))).resolves.toBeDefined();
  });

  it('starts one more instance only when all are full, also for calls that arrive together', async () => {
    const { pool, sandbox } = setUp();
    const leases = await Promise.all(Array.from({ length: 5 }, () => pool.acquire(program('v'))));
    expect(sandbox.started).toHaveLength(3);
    const perInstance = new Map<Instance, number>();
    for (const { instance } of leases) perInstance.set(instance, (perInstance.get(instance) ?? 0) + 1);
    expect(Math.max(...perInstance.values())).toBe(2);
  });

  it('never gives an instance to another tenant or version', async () => {
    const { pool } = setUp();
    const [a, b, c] = await Promise.all([
      pool.acquire(program('v')),
      pool.acquire(program('v', { tenant: 'bob' })),
      pool.acquire(program('w')),
    ]);
    expect(new Set([a.instance, b.instance, c.instance]).size).toBe(3);
  });

  it('ends an instance after its idle time, not while it has a job', async () => {
    const { pool, clock } = setUp();
    const lease = await pool.acquire(program('v'));
    clock.advance(5_000);
    expect(pool.size).toBe(1);
    lease.release();
    clock.advance(999);
    expect(pool.size).toBe(1);
    clock.advance(1);
    expect([pool.size, pool.usedMiB]).toEqual([0, 0]);
    await lease.instance.ended;
  });

  it('makes room by ending the least recently used idle instance', async () => {
    const { pool, clock } = setUp(384);
    const leases = [];
    for (const version of ['a', 'b', 'c']) leases.push(await pool.acquire(program(version)));
    leases[1]!.release();
    clock.advance(10);
    leases[0]!.release();
    await pool.acquire(program('d'));
    await leases[1]!.instance.ended;
    expect(leases[0]!.instance.accepting).toBe(true);
    expect(pool.usedMiB).toBe(384);
  });

  it('lets spares have what instances leave free, and evicts one more idle instance where they would have nothing', async () => {
    const { pool, sandbox, clock } = setUp(384, 48);
    expect(sandbox.sparesMiB).toBe(384);
    const leases = [];
    for (const version of ['a', 'b', 'c']) leases.push(await pool.acquire(program(version)));
    expect(sandbox.sparesMiB).toBe(0);
    for (const lease of leases) {
      lease.release();
      clock.advance(10);
    }
    const first = await pool.acquire(program('d'));
    expect(leases.map(({ instance }) => instance.accepting)).toEqual([false, false, true]);
    expect(sandbox.sparesMiB).toBe(128);
    await pool.acquire(program('e'));
    expect([leases[2]!.instance.accepting, sandbox.sparesMiB]).toEqual([true, 0]);
    await pool.acquire(program('f'));
    expect([leases[2]!.instance.accepting, first.instance.accepting, sandbox.sparesMiB]).toEqual([false, true, 0]);
  });

  it('refuses with a retryable error when busy instances hold all memory, and ends none for nothing', async () => {
    const { pool } = setUp(384);
    await pool.acquire(program('a', { memoryMiB: 256 }));
    const idle = await pool.acquire(program('b'));
    idle.release();
    await expect(pool.acquire(program('c', { memoryMiB: 256 }))).rejects.toMatchObject({ code: 'overloaded', retryable: true });
    expect(idle.instance.accepting).toBe(true);
  });

  it('says so when a function can never fit', async () => {
    const { pool } = setUp(128);
    await expect(pool.acquire(program('a', { memoryMiB: 256 }))).rejects.toMatchObject({ code: 'node-refused' });
  });

  it('gives a failed start to everybody who waited for it, and frees its memory', async () => {
    const { pool, sandbox } = setUp();
    sandbox.before = () => Promise.reject(new Error('boom'));
    const both = await Promise.allSettled([pool.acquire(program('v')), pool.acquire(program('v'))]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(pool.usedMiB).toBe(0);
    sandbox.before = () => Promise.resolve();
    await expect(pool.acquire(program('v'))).resolves.toBeDefined();
  });

  it('replaces an instance that has died or is to be replaced', async () => {
    const { pool, sandbox } = setUp();
    const first = await pool.acquire(program('v'));
    (first.instance as FakeInstance).accepting = false;
    const second = await pool.acquire(program('v'));
    expect(second.instance).not.toBe(first.instance);
    first.release();
    await first.instance.ended;
    await second.instance.kill();
    await Promise.resolve();
    await pool.acquire(program('v'));
    expect(sandbox.started).toHaveLength(3);
  });

  it('counts a lease once, however often it is released', async () => {
    const { pool } = setUp();
    const lease = await pool.acquire(program('v', { concurrency: 1 }));
    lease.release();
    lease.release();
    await pool.acquire(program('v', { concurrency: 1 }));
    const other = await pool.acquire(program('v', { concurrency: 1 }));
    expect(other.instance).not.toBe(lease.instance);
  });

  it('ends everything when it is closed, also what is still starting', async () => {
    const { pool, sandbox } = setUp();
    const gate = Promise.withResolvers<void>();
    sandbox.before = () => gate.promise;
    const pending = pool.acquire(program('v'));
    const closing = pool.close();
    gate.resolve();
    await closing;
    expect((await pending).instance.accepting).toBe(false);
    await expect(pool.acquire(program('v'))).rejects.toMatchObject({ code: 'node-refused' });
  });

  it('gives a warm place at once, and none where an instance would have to be started', async () => {
    const { pool } = setUp();
    expect(pool.take(program('v'))).toBeUndefined();
    const starting = pool.acquire(program('v'));
    expect(pool.take(program('v'))).toBeUndefined();
    const first = await starting;
    expect(pool.take(program('v'))).toMatchObject({ instance: first.instance, setupUs: 0 });
    expect(pool.take(program('v'))).toBeUndefined();
    expect(pool.size).toBe(1);
    first.release();
    expect(pool.take(program('v'))?.instance).toBe(first.instance);
  });

  it('ends each instance when it has been idle for its time, however they were used', async () => {
    const { pool, clock } = setUp();
    const one = await pool.acquire(program('a'));
    const two = await pool.acquire(program('b'));
    one.release();
    clock.advance(600);
    two.release();
    clock.advance(300);
    pool.take(program('a'))!.release();
    clock.advance(700);
    await two.instance.ended;
    expect([one.instance.accepting, pool.size]).toEqual([true, 1]);
    clock.advance(299);
    expect(pool.size).toBe(1);
    clock.advance(1);
    await one.instance.ended;
  });

  it('lets the jobs of a version that is no longer wanted come to their end, gives it no new ones, and ends it then', async () => {
    const { pool } = setUp();
    const wanted = program('v');
    const lease = await pool.acquire(wanted);
    const other = await pool.acquire(program('w'));
    pool.retire(wanted);
    expect([lease.instance.accepting, pool.take(wanted)]).toEqual([true, undefined]);
    lease.release();
    await lease.instance.ended;
    expect(other.instance.accepting).toBe(true);
    other.release();
    pool.retire(program('w'));
    await other.instance.ended;
    expect(pool.size).toBe(0);
  });
});
