import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorTable, limits, type ErrorCode } from '@orb/protocol';
import { checkBooks, settled } from './books.ts';
import type { CallAnswer } from './call.ts';
import { Network } from './network.ts';
import { until } from './until.ts';

let network: Network;
const node = ['--folder', ''];
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'], config: { maxWaitMs: 100 } });
  node[1] = network.nodeFolder('ant');
  const small = ['--memory', '64', '--timeout', '1s', '--budget', '1'];
  await Promise.all([
    network.deploy('well', 'export default (input) => input;', small),
    network.deploy('poor', 'export default () => "paid";', ['--memory', '64', '--timeout', '1s', '--budget', '0.00064']),
    network.deploy('mine', 'export default () => "for my owner";', [...small, '--private']),
    network.deploy('broken', `throw new Error('the table of prices is missing'); export default () => 1;`, small),
    network.deploy('large', 'export default () => new Uint8Array(7 * 1024 * 1024);', ['--memory', '128', '--budget', '1']),
    network.deploy('slow', 'export default () => new Promise(() => undefined);', ['--memory', '64', '--timeout', '300ms', '--budget', '1']),
    network.deploy(
      'faulty',
      `
      export default (how) => {
        if (how === 'throw') throw new TypeError('order 7 has no address');
        if (how === 'reject') return Promise.reject(new Error('order 8 has no address'));
        if (how === 'word') throw 'no error at all';
        if (how === 'cycle') { const a = {}; a.a = a; return a; }
        if (how === 'bigint') return 1n;
      };`,
      small,
    ),
  ]);
});
afterAll(() => network?.stop());

/** Words that only somebody inside could use: stacks, paths, modules, other people's software. */
const inside =
  /\n\s*at |[\w)]:\d+:\d+|file:|\/(tmp|work|home|usr|proc|packages|node_modules)\b|\.(ts|js|mjs)\b|deno|bwrap|fastify|FST_|\bzod\b|undefined|\[object|ECONN|EPIPE|classic-level|harness/i;

/** An error in its one form: status and fault of the table, plain words with a way on, nothing from inside. */
function expectRefusal(answer: CallAnswer, code: ErrorCode, words: RegExp): void {
  const { status, error, text, headers } = answer;
  expect({ status, code: error.code, message: error.message }).toEqual({
    status: errorTable[code].status,
    code,
    message: expect.stringMatching(words),
  });
  const { faultOf, retryable } = errorTable[code];
  expect(error).toMatchObject({ faultOf, retryable });
  expect(
    Object.keys(error).filter((key) => !['code', 'message', 'hint', 'faultOf', 'retryable', 'retryAfterMs', 'details'].includes(key)),
  ).toEqual([]);
  expect(text).not.toMatch(inside);
  expect(headers.get('content-type')).toBe('application/json');
  expect(headers.get('access-control-allow-origin')).toBe('*');
  if (retryable) expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  else expect(headers.get('retry-after')).toBeNull();
}

describe('what was asked for is not there, or not allowed', () => {
  test('404: no such function, no such owner; the hint shows the form', async () => {
    expectRefusal(await network.call('nothing'), 'unknown-function', /alice\/nothing/);
    const stranger = await network.call('/fn/nobody/nothing');
    expectRefusal(stranger, 'unknown-function', /nobody\/nothing/);
    expect(stranger.error.hint).toContain('/fn/OWNER/NAME');
  });

  test('404: any other address of the gateway', async () => {
    const response = await fetch(`${network.gateway}/v1/secret`);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { code: 'not-found', hint: expect.stringContaining('/fn/OWNER/NAME') } });
  });

  test('401 and 403: a private function answers its owner alone', async () => {
    expectRefusal(await network.call('mine'), 'unauthenticated', /alice\/mine is private/);
    expect(await network.orb(['call', 'alice/mine', '--account', 'alice'])).toMatchObject({ code: 0, stdout: '"for my owner"' });
    expect(await network.orb(['call', 'alice/mine', '--account', 'lender'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('private'),
    });
  });

  test('413: a body, a path or headers above the limit', async () => {
    expectRefusal(await network.call('well', { body: new Uint8Array(limits.bodyBytes + 1) }), 'too-large', /body/);
    expectRefusal(await network.call(`well/${'x'.repeat(limits.pathBytes)}`), 'too-large', /path/);
    const headers = Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`x-${i}`, '1']));
    expectRefusal(await network.call('well', { headers }), 'too-large', /headers/);
    expect(
      (await network.call('well', { body: new Uint8Array(limits.bodyBytes), headers: { 'content-type': 'application/octet-stream' } }))
        .bytes.length,
    ).toBe(limits.bodyBytes);
  });

  test('402: an allowance that pays for one call more is enough for one call', async () => {
    expect(await network.call('poor')).toMatchObject({ status: 200, json: 'paid' });
    const refused = await network.call('poor');
    expectRefusal(refused, 'payment-required', /alice\/poor/);
    expect(refused.error.hint).toContain('orb allowance open');
    await network.ok('allowance', 'open', 'alice/poor', '--max', '1');
    expect(await network.call('poor')).toMatchObject({ status: 200 });
  });
});

describe('what the function did', () => {
  test('502: a throw in the function’s own words, whatever it throws', async () => {
    expectRefusal(await network.call('faulty', { event: 'throw' }), 'function-failed', /order 7 has no address/);
    expectRefusal(await network.call('faulty', { event: 'reject' }), 'function-failed', /order 8 has no address/);
    expectRefusal(await network.call('faulty', { event: 'word' }), 'function-failed', /no error at all/);
  });

  test('502: an output that is none', async () => {
    expectRefusal(await network.call('faulty', { event: 'cycle' }), 'bad-response', /not JSON.*circular/s);
    expectRefusal(await network.call('faulty', { event: 'bigint' }), 'bad-response', /not JSON.*BigInt/);
    expectRefusal(await network.call('large'), 'response-too-large', /larger|more/);
  });

  test('502: a module that throws while it is loaded, in its own words', async () => {
    expectRefusal(await network.call('broken'), 'load-failed', /the table of prices is missing/);
  });

  test('504: no answer within the time limit', async () => {
    const late = await network.call('slow');
    expectRefusal(late, 'timed-out', /300 ms|time limit/);
    expect(late.error.hint).toContain('--timeout');
  });

  test('orb call ends with 9 and the function’s own words', async () => {
    const failed = await network.orb(['call', 'alice/faulty', '--data', '"throw"']);
    expect(failed).toMatchObject({ code: 9, stdout: '', stderr: expect.stringContaining('order 7 has no address') });
    expect(failed.stderr).not.toMatch(/\n\s*at /);
  });
});

describe('503: nobody fits, and the answer names why', () => {
  test('the node’s owner asks for more than the function’s cap', async () => {
    await network.ok('node', 'set', ...node, 'price', '20');
    await until('the price to be known', async () => (await network.call('well', { event: 1 })).status === 503);
    expectRefusal(await network.call('well', { event: 1 }), 'no-node-fits', /price: 20 asked, at most 10 allowed/);
    await network.ok('node', 'set', ...node, 'price', '10');
    await until('the price to be known', async () => (await network.call('well', { event: 1 })).status === 200);
  });

  test('the node lends less memory than the function needs', async () => {
    await network.ok('node', 'set', ...node, 'memory', '64');
    await until('the offer to be known', async () => (await network.call('large')).status === 503);
    expectRefusal(await network.call('large'), 'no-node-fits', /memory: 128 MiB wanted, 64 MiB offered/);
    expect(await network.call('well', { event: 1 })).toMatchObject({ status: 200 });
    await network.ok('node', 'set', ...node, 'memory', '2048');
  });

  test('the node has no slot, is paused, is gone', async () => {
    await network.ok('node', 'set', ...node, 'slots', '0');
    await until('the offer to be known', async () => (await network.call('well', { event: 1 })).error.code === 'overloaded');
    expectRefusal(await network.call('well', { event: 1 }), 'overloaded', /busy/);
    await network.ok('node', 'pause', ...node);
    await until('the pause to be known', async () => !(await network.linked('ant')).accepting);
    expectRefusal(await network.call('well', { event: 1 }), 'no-node-fits', /paused/);
    await network.node('ant').end('SIGINT');
    await network.unlinked('ant');
    expectRefusal(await network.call('well', { event: 1 }), 'no-node-fits', /no node that is online holds a replica/);
    expect(await network.orb(['call', 'alice/well', '--data', '1'])).toMatchObject({
      code: 10,
      stderr: expect.stringContaining('replica'),
    });
  });
});

test('refusals have cost what the rules say, and the books balance', async () => {
  await settled(network);
  expect((await checkBooks(network)).total).toBe(0n);
});
