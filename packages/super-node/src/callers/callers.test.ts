import {
  callerTokenMac,
  limits,
  requestHash,
  resultHash,
  sha256,
  signRequest,
  utf8,
  type CallerAnswer,
  type JobEnd,
  type OrbError,
} from '@orb/protocol';
import { testSigner } from '@orb/ledger/testing';
import { afterEach, describe, expect, test } from 'vitest';
import type { Link, LinkAnswer, LinkPeer } from '@orb/link';
import type { Script } from '../testing/scripted-node.ts';
import { TestSuperNode } from '../testing/test-super-node.ts';
import { CallerLinks } from './caller-links.ts';

let superNode: TestSuperNode | undefined;
afterEach(async () => {
  await superNode?.stop();
  superNode = undefined;
});

/** A function on one scripted node. */
async function start(script: Script = {}, config: Parameters<typeof TestSuperNode.start>[0] = {}, manifest: object = {}) {
  const net = (superNode = await TestSuperNode.start(config));
  const node = await net.addNode('node', script);
  await net.deploy('hello', manifest);
  return { net, node, link: await net.callerLink() };
}

const ask = (changes: object = {}) => ({
  fn: 'bob/hello',
  mode: 'event',
  headers: [['content-type', 'application/json']],
  bytes: 5,
  ...changes,
});
const text = async (answer: LinkAnswer) => new TextDecoder().decode(await answer.body.bytes(10_000_000));
const head = (answer: LinkAnswer) => answer.header as CallerAnswer;
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'ok',
    (error: OrbError) => error.code,
  );
const running = async (net: TestSuperNode) =>
  ((await (await fetch(`${net.url}/v1/status`)).json()) as { totals: { running: number } }).totals.running;

async function* endless(): AsyncGenerator<Uint8Array> {
  for (;;) yield Buffer.alloc(16_384);
}

/** A body of which nothing more comes after the first piece. */
async function* stuck(): AsyncGenerator<Uint8Array> {
  yield utf8('first');
  await new Promise(() => undefined);
}

describe('a call over a caller’s link', () => {
  test('runs, is answered with what its receipt covers, and is paid', async () => {
    const { net, node, link } = await start({ run: () => ({ status: 201, headers: [['x-made', 'yes']], body: '"made"' }) });
    const answer = await link.call('call', ask({ path: '/a?b=1' }), utf8('"abc"'));
    expect(await text(answer)).toBe('"made"');
    const { status, headers, job, call, end } = head(answer);
    expect({ status, headers }).toEqual({ status: 201, headers: [['x-made', 'yes']] });
    expect(end!.receipt).toEqual({
      request: requestHash('POST', '/a?b=1', sha256('"abc"')),
      result: resultHash(201, sha256('"made"')),
      bytesIn: 5,
      bytesOut: 6,
    });
    expect(node.jobs[0]).toMatchObject({ method: 'POST', path: '/a?b=1', mode: 'event' });
    expect(call).toBe(node.jobs[0]!.ticket[3]);
    await expect.poll(async () => (await net.net.ledger.job(job))?.state, { timeout: 5_000 }).toBe('paid');
  });

  test('streams both ways, and its trailer says how the job ended', async () => {
    const { link } = await start({
      async *stream(_request, body) {
        for await (const piece of body) yield utf8(`<${Buffer.from(piece).toString()}>`);
      },
    });
    const pieces = async function* () {
      yield utf8('a');
      yield utf8('b');
    };
    const answer = await link.call('call', ask({ bytes: null, mode: 'http' }), pieces());
    expect((await text(answer)).replaceAll('><', '')).toBe('<ab>');
    expect((await answer.trailer) as JobEnd).toMatchObject({ receipt: { bytesIn: 2, request: requestHash('POST', '/', sha256('ab')) } });
    expect(head(answer).end).toBeUndefined();
  });

  test('ends at its node when it is cancelled', async () => {
    const stopped = Promise.withResolvers<void>();
    const { net, link } = await start({
      stream: (_request, _body, { signal }) => {
        signal.addEventListener('abort', () => stopped.resolve());
        return endless();
      },
    });
    const abort = new AbortController();
    const answer = await link.call('call', ask(), utf8('"abc"'), { signal: abort.signal });
    abort.abort();
    await stopped.promise;
    expect(await codeOf(answer.body.bytes(1e9))).toBe('cancelled');
    await expect.poll(() => running(net)).toBe(0);
  });

  test('is nobody’s business once its link is gone: work that is under way stops', async () => {
    const stopped = Promise.withResolvers<void>();
    const { net, link } = await start({
      stream: (_request, _body, { signal }) => {
        signal.addEventListener('abort', () => stopped.resolve());
        return endless();
      },
    });
    await link.call('call', ask(), utf8('"abc"'));
    await link.close();
    await stopped.promise;
    await expect.poll(() => running(net)).toBe(0);
  });
});

describe('a caller that is not as it should be', () => {
  test.each<[string, unknown, string]>([
    ['names no function', { mode: 'event' }, 'invalid-request'],
    ['names it with a path', ask({ fn: 'bob/hello/x' }), 'invalid-request'],
    ['sends no object', 'bob/hello', 'invalid-request'],
    ['sends nothing', null, 'invalid-request'],
    ['has another mode', ask({ mode: 'both' }), 'invalid-request'],
    ['has a method of two words', ask({ method: 'GET /' }), 'invalid-request'],
    ['has a path that is not encoded', ask({ path: '/a b' }), 'invalid-request'],
    ['has a path without a start', ask({ path: 'a' }), 'invalid-request'],
    ['has a path that is too long', ask({ path: `/${'x'.repeat(limits.pathBytes)}` }), 'too-large'],
    ['has a header with a line in it', ask({ headers: [['x-a', 'b\r\nx-c: d']] }), 'invalid-request'],
    ['has a header name in upper case', ask({ headers: [['X-A', 'b']] }), 'invalid-request'],
    ['has headers that are none', ask({ headers: { a: 'b' } }), 'invalid-request'],
    ['has too many headers', ask({ headers: Array.from({ length: 101 }, (_, n) => [`x-${n}`, '']) }), 'invalid-request'],
    ['has headers that are too large', ask({ headers: [['x-a', 'b'.repeat(limits.headersBytes)]] }), 'too-large'],
    ['says that its body is huge', ask({ bytes: limits.bodyBytes + 1 }), 'too-large'],
    ['says that its body is less than nothing', ask({ bytes: -1 }), 'invalid-request'],
    ['says that its body is shorter than it is', ask({ bytes: 4 }), 'invalid-request'],
    ['says that its body is longer than it is', ask({ bytes: 6 }), 'invalid-request'],
    ['has a signature of another form', ask({ signed: { target: 1 } }), 'invalid-request'],
    ['calls what is not there', ask({ fn: 'bob/nothing' }), 'unknown-function'],
  ])('is told so when it %s, and its next call is taken', async (_, header, code) => {
    const { node, link } = await start();
    expect(await codeOf(link.call('call', header, utf8('"abc"')))).toBe(code);
    expect(node.jobs).toEqual([]);
    expect(await codeOf(link.call('call', ask(), utf8('"abc"')))).toBe('ok');
  });

  test('may be of a newer version: what it says beyond what is known changes nothing', async () => {
    const { link } = await start();
    expect(await text(await link.call('call', ask({ priority: 'high' }), utf8('"abc"')))).toBe('"abc"');
  });

  test('loses its link when it gives notice of something', async () => {
    const { link } = await start();
    link.notify('hello', {});
    expect(await link.closed).toMatchObject({ code: 'protocol-violation' });
  });

  test('is not answered what a node or a super node would be', async () => {
    const { link } = await start();
    for (const method of ['offer', 'fetch-code', 'forward', 'presence', 'run'])
      expect(await codeOf(link.call(method, {}))).toBe('not-supported');
  });

  test('has a bound on calls under way', async () => {
    const { net, link } = await start({ run: () => new Promise(() => undefined), offer: { slots: 4_000 } }, { maxWaitingCalls: 10_000 });
    const calls = Array.from({ length: limits.callerCalls + 3 }, () => codeOf(link.call('call', ask(), utf8('"abc"'))));
    expect(await Promise.all(calls.slice(-3))).toEqual(['overloaded', 'overloaded', 'overloaded']);
    expect(await codeOf((await net.callerLink()).call('call', ask({ fn: 'bob/nothing', bytes: 0 })))).toBe('unknown-function');
    await link.close();
  });

  test('has a bound on the bytes of bodies under way, whatever becomes of them', async () => {
    const { link } = await start({ run: () => new Promise(() => undefined) });
    // Most is never sent: what a call says that it will send counts from its first word.
    const most = Math.floor(limits.callerHeldBytes / limits.bodyBytes);
    const waiting = Array.from({ length: most }, () => codeOf(link.call('call', ask({ bytes: limits.bodyBytes }), stuck())));
    expect(await codeOf(link.call('call', ask({ bytes: limits.bodyBytes }), stuck()))).toBe('overloaded');
    await link.close();
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['link-closed']));
  });

  test('that takes nothing of a stream for too long has left, and its slot is free', async () => {
    const { net, link } = await start({ stream: endless }, { streamIdleMs: 100 });
    const answer = await link.call('call', ask(), utf8('"abc"'));
    await expect.poll(() => running(net), { timeout: 5_000 }).toBe(0);
    expect(await codeOf(answer.body.bytes(1e9))).toBe('cancelled');
  });

  test('that sends nothing of a request that is waited for has left too', async () => {
    const { link } = await start(
      {
        async *stream(_request, body) {
          for await (const piece of body) yield piece;
        },
      },
      { streamIdleMs: 100 },
    );
    const answer = link.call('call', ask({ bytes: null, mode: 'http' }), stuck()).then((one) => one.body.bytes(1e9));
    expect(await codeOf(answer)).toBe('invalid-request');
  });

  test('holds so many links from one address, and no more', async () => {
    const links = new CallerLinks({} as never);
    const made = Array.from({ length: limits.callerLinksPerAddress }, (_, port) => fakeLink(`192.0.2.1:${port}`));
    for (const { link, peer } of made) {
      links.authorize(peer);
      links.opened(link);
    }
    expect(() => links.authorize(fakeLink('192.0.2.1:9').peer)).toThrow('One address may hold');
    links.authorize(fakeLink('192.0.2.2:9').peer);
    made[0]!.close();
    await Promise.resolve();
    links.authorize(fakeLink('192.0.2.1:9').peer);
  });
});

function fakeLink(address: string) {
  const peer: LinkPeer = { role: 'client', key: '1'.repeat(64), address };
  const closed = Promise.withResolvers<undefined>();
  return { peer, close: () => closed.resolve(undefined), link: { peer, closed: closed.promise } as unknown as Link };
}

describe('who calls over a link', () => {
  const hidden = { visibility: 'private' };

  test('the handshake has said it: a private function answers its owner’s key alone', async () => {
    const { net, link } = await start({}, {}, hidden);
    expect(await codeOf((await net.callerLink(net.bob)).call('call', ask(), utf8('"abc"')))).toBe('ok');
    expect(await codeOf((await net.callerLink(net.alice)).call('call', ask(), utf8('"abc"')))).toBe('forbidden');
    expect(await codeOf(link.call('call', ask(), utf8('"abc"')))).toBe('unauthenticated');
  });

  test('a token’s proof is good on its own link alone, and only with the token’s secret', async () => {
    const { net, link } = await start({}, {}, hidden);
    const { accessKeyId, secretAccessKey } = await makeToken(net);
    const ends = { chain: net.running.chain, superNode: net.superNode.publicKey };
    const proof = (secret: string, caller: string) => ({ id: accessKeyId, mac: callerTokenMac(secret, { ...ends, caller }) });
    const me = testSigner('me');
    const mine = await net.callerLink(me);
    expect(await codeOf(mine.call('token', proof('guess', me.publicKey)))).toBe('unauthenticated');
    expect(await codeOf(mine.call('token', { id: accessKeyId }))).toBe('unauthenticated');
    expect(await codeOf(mine.call('token', { id: 'ORBNOTHERE', mac: '0'.repeat(64) }))).toBe('unauthenticated');
    const good = proof(secretAccessKey, me.publicKey);
    expect(await codeOf(link.call('token', good))).toBe('unauthenticated');
    expect(await codeOf(mine.call('token', good))).toBe('ok');
    expect(await codeOf(mine.call('call', ask(), utf8('"abc"')))).toBe('ok');
  });

  test('a signature that comes along must be right, of this very call, and new', async () => {
    const { net, link } = await start({}, {}, hidden);
    const body = utf8('"abc"');
    const sign = (target: string, changes: object = {}) => ({
      target,
      ...signRequest({ method: 'POST', url: `${net.url}${target}`, body, ...changes }, net.running.chain, net.bob, Date.now()),
    });
    const call = (signed: object) => codeOf(link.call('call', ask({ signed }), body));
    const good = sign('/fn/bob/hello');
    expect(await call(good)).toBe('ok');
    expect(await call(good)).toBe('unauthenticated');
    expect(await call(sign('/fn/bob/hello/x'))).toBe('unauthenticated');
    expect(await call(sign('/fn/bob/other'))).toBe('unauthenticated');
    expect(await call(sign('/fn/bob/hello', { body: utf8('"abd"') }))).toBe('unauthenticated');
    expect(await call(sign('/fn/bob/hello', { url: 'http://elsewhere.test/fn/bob/hello' }))).toBe('unauthenticated');
  });
});

async function makeToken(net: TestSuperNode): Promise<{ accessKeyId: string; secretAccessKey: string }> {
  const body = utf8(JSON.stringify({ functions: '*', expiresMs: Date.now() + 3_600_000 }));
  const url = `${net.url}/v1/tokens`;
  const signed = signRequest({ method: 'POST', url, body }, net.running.chain, net.bob, Date.now());
  const headers = { ...signed, 'orb-account': 'bob', 'content-type': 'application/json' };
  const answer = await fetch(url, { method: 'POST', body: body as Uint8Array<ArrayBuffer>, headers });
  return (await answer.json()) as { accessKeyId: string; secretAccessKey: string };
}
