import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { limits } from '@orb/protocol';
import { checkBooks, settled } from './books.ts';
import { Network } from './network.ts';

let network: Network;
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'] });
  await network.ok('account', 'create', 'carol', '--role', 'developer');
  await network.ok('fund', 'carol');
  await network.deploy('double', 'export default (input) => (input instanceof Uint8Array ? input.map((n) => n * 2) : input * 2);', [
    '--private',
  ]);
  await network.deploy(
    'caller',
    `
    export default async ({ target, input, bytes, options }, ctx) => {
      try {
        const output = await ctx.call(target, bytes ? Uint8Array.from(bytes) : input, options);
        return { output: output instanceof Uint8Array ? [...output] : output, type: output?.constructor?.name };
      } catch ({ name, code, status, message, retryable }) {
        return { error: { name, code, status, message, retryable } };
      }
    };`,
  );
  await network.deploy('who', 'export default (_, ctx) => ctx.caller ?? null;', ['--private']);
  await network.deploy('web', `export default { fetch: (request) => new Response('no ' + request.method, { status: 418 }) };`);
  await network.deploy('huge', `export default () => new Uint8Array(${limits.callOutputBytes + 1});`);
  await network.deploy('faulty', `export default () => { throw new RangeError('out of tea'); };`);
  await network.deploy(
    'endless',
    `export default (_, ctx) => new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason)));`,
  );
  await network.deploy(
    'lambda',
    `export const handler = async ({ n }, context) => ({ tripled: n * 3, doubled: await context.call('alice/double', n) });`,
  );
  await network.deploy(
    'down',
    `export default async (depth, ctx) => {
    try { return await ctx.call(ctx.function, depth + 1); } catch (error) { return { depth, code: error.code, message: error.message }; }
  };`,
  );
  const next = (name: string, to: string) =>
    network.deploy(
      name,
      `export default async (depth, ctx) => {
      try { return await ctx.call('alice/${to}', depth + 1); } catch (error) { return { depth, code: error.code, message: error.message }; }
    };`,
    );
  for (let i = 0; i < limits.callDepth; i++) await next(`step${i}`, `step${i + 1}`);
  await network.deploy(`step${limits.callDepth}`, 'export default (depth) => depth;');
  await network.deploy(
    'many',
    `export default async (n, ctx) => {
    const results = await Promise.allSettled(Array.from({ length: n }, (_, i) => ctx.call('alice/double', i)));
    return { sum: results.reduce((sum, { value = 0 }) => sum + value, 0), refused: results.filter(({ reason }) => reason?.code === 'call-limit').length };
  };`,
  );
}, 180_000);
afterAll(() => network?.stop());

interface Nested {
  readonly output?: unknown;
  readonly type?: string;
  readonly error?: { readonly name: string; readonly code: string; readonly status?: number; readonly message: string };
}

async function nested(event: object, caller = 'caller'): Promise<Nested> {
  const answer = await network.call(caller, { event });
  expect([answer.status, answer.text.slice(0, 300)]).toEqual([200, expect.anything()]);
  return answer.json as Nested;
}

test('a function is told who calls: an account by its signature, or another function', async () => {
  const asked = await network.orb(['call', 'alice/who', '--account', 'alice']);
  expect(asked).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(asked.stdout)).toEqual({ account: expect.stringMatching(/^[0-9a-f]{64}$/), name: 'alice' });
  const { account: id } = JSON.parse(asked.stdout) as { account: string };
  const nested = await network.call('caller', { event: { target: 'alice/who' } });
  expect(nested.json).toMatchObject({ output: { account: id, name: 'alice', function: 'alice/caller' } });
});

describe('ctx.call', () => {
  test('calls another function of the same owner, a private one too; JSON and bytes go both ways', async () => {
    expect(await nested({ target: 'alice/double', input: 21 })).toEqual({ output: 42, type: 'Number' });
    expect(await nested({ target: 'alice/double', bytes: [1, 2, 100] })).toEqual({ output: [2, 4, 200], type: 'Uint8Array' });
    expect((await network.call('lambda', { event: { n: 5 } })).json).toEqual({ tripled: 15, doubled: 10 });
  });

  test('takes a descriptor, and will not run another function that has its name', async () => {
    const { function: id } = await network
      .get<{ record: { id: string }; function?: string }>('/v1/functions/alice/double')
      .then(({ record }) => ({ function: record.id }));
    expect(await nested({ target: { owner: 'alice', name: 'double', function: id, version: null }, input: 1 })).toMatchObject({
      output: 2,
    });
    const other = await nested({ target: { owner: 'alice', name: 'double', function: 'ab'.repeat(32) }, input: 1 });
    expect(other.error).toMatchObject({ code: 'unknown-function', message: expect.stringContaining('no longer the function') });
    const version = await nested({ target: { owner: 'alice', name: 'double', version: 'ab'.repeat(32) }, input: 1 });
    expect(version.error).toMatchObject({ code: 'not-found' });
  });

  test('is a job of its own, paid by the calling function’s owner', async () => {
    const before = (await network.get<{ jobs: { id: string }[] }>('/v1/jobs')).jobs.map(({ id }) => id);
    const outer = await network.call('caller', { event: { target: 'alice/double', input: 1 } });
    const { jobs } = await network.get<{ jobs: { id: string; function: string }[] }>('/v1/jobs');
    const inner = jobs.find(({ id, function: name }) => !before.includes(id) && name === 'alice/double')!;
    expect(inner.id).not.toBe(outer.job);
    const { job } = await network.job(inner.id);
    expect(BigInt(job.cost)).toBeGreaterThan(0n);
  });

  test('says why there is no output: thrown, status, unknown, not a name', async () => {
    expect(await nested({ target: 'alice/faulty' })).toEqual({
      error: { name: 'CallError', code: 'function-failed', message: 'alice/faulty: out of tea', retryable: false },
    });
    expect((await nested({ target: 'alice/web' })).error).toMatchObject({ code: 'bad-status', status: 418 });
    expect((await nested({ target: 'alice/nothing' })).error).toMatchObject({ code: 'unknown-function' });
    expect((await nested({ target: 'nonsense' })).error).toMatchObject({ name: 'TypeError' });
    expect((await nested({ target: 'alice/huge' })).error).toMatchObject({ code: 'response-too-large' });
    expect((await nested({ target: 'alice/double', input: 'x'.repeat(limits.callInputBytes) })).error).toMatchObject({ code: 'too-large' });
  });

  test('ends when its own time is over, and with its caller', async () => {
    const late = await nested({ target: 'alice/endless', options: { timeoutMs: 200 } });
    expect(late.error).toMatchObject({ code: 'timed-out', message: expect.stringContaining('within') });
    await network.deploy('hasty', `export default (_, ctx) => ctx.call('alice/endless');`, ['--timeout', '300ms']);
    expect(await network.call('hasty', { event: {} })).toMatchObject({ status: 504, error: { code: 'timed-out' } });
    const hangUp = new AbortController();
    const left = network.call('caller', { event: { target: 'alice/endless' }, signal: hangUp.signal });
    await network.busy();
    hangUp.abort();
    await expect(left).rejects.toThrow();
    await settled(network);
    for (const { active } of await network.linkedNodes()) expect(active).toBe(0);
  });
});

describe('the bounds of calls between functions', () => {
  test('a function that calls itself comes to an end', async () => {
    expect((await network.call('down', { event: 1 })).json).toEqual({
      depth: limits.callRepeats,
      code: 'call-limit',
      message: expect.stringContaining('in a circle'),
    });
  });

  test('a chain of different functions has a greatest depth', async () => {
    expect((await network.call('step1', { event: 2 })).json).toBe(limits.callDepth + 1);
    expect((await network.call('step0', { event: 1 })).json).toEqual({
      depth: limits.callDepth,
      code: 'call-limit',
      message: expect.stringContaining(`function ${limits.callDepth + 1} in one chain`),
    });
  });

  test('one job may make so many calls and no more', async () => {
    const n = limits.callsPerJob + 3;
    const sum = Array.from({ length: limits.callsPerJob }, (_, i) => 2 * i).reduce((a, b) => a + b);
    expect((await network.call('many', { event: n })).json).toEqual({ sum, refused: 3 });
  });

  test('a function of another owner is called when the caller’s owner has an allowance for it, never on its own owner’s', async () => {
    const file = await network.write('greet.ts', 'export default (name) => "Hello, " + name;');
    await network.ok('deploy', file, '--replicas', '1', '--account', 'carol');
    const refused = await nested({ target: 'carol/greet', input: 'Ada' });
    expect(refused.error).toMatchObject({ code: 'payment-required', message: expect.stringContaining('calling function’s owner') });
    await network.ok('allowance', 'open', 'carol/greet', '--max', '1');
    const before = (await network.orbClient.accounts.show('carol')).availableUnits;
    expect(await nested({ target: 'carol/greet', input: 'Ada' })).toMatchObject({ output: 'Hello, Ada' });
    await settled(network);
    expect((await network.orbClient.accounts.show('carol')).availableUnits).toBe(before);
    const alice = await network.orbClient.accounts.show('alice');
    const own = (await network.orbClient.allowances.list(alice.id)).find(
      ({ maxUnits, left }) => maxUnits === '1000000000' && left !== maxUnits,
    );
    expect(own).toBeDefined();
  });

  test('a private function of another owner stays private', async () => {
    const file = await network.write('secret.ts', 'export default () => 1;');
    await network.ok('deploy', file, '--replicas', '1', '--account', 'carol', '--private');
    await network.ok('allowance', 'open', 'carol/secret', '--max', '1');
    expect((await nested({ target: 'carol/secret' })).error).toMatchObject({ code: 'forbidden' });
  });
});

test('all of it is paid and the books balance', async () => {
  await settled(network);
  expect((await checkBooks(network)).total).toBe(0n);
});
