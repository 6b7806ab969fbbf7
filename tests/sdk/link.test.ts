import { utf8, type OrbError } from '@orb/protocol';
import { testSigner } from '@orb/ledger/testing';
import { Orb, type OrbOptions } from '@orb/sdk';
import { afterEach, describe, expect, test } from 'vitest';
import type { Script } from '../../packages/super-node/src/testing/scripted-node.ts';
import { TestSuperNodes } from '../../packages/super-node/src/testing/test-super-nodes.ts';

let net: TestSuperNodes | undefined;
const clients: Orb[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await net?.stop();
  net = undefined;
});

/** Super nodes whose links are real sockets, a node at each, and the function bob/hello on all of them. */
async function start(script: Script = {}, { names = ['a'], config = {}, manifest = {} }: StartOptions = {}): Promise<TestSuperNodes> {
  const t = (net = await TestSuperNodes.start(names, config, { real: true }));
  for (const name of names) await t.addNode(`node-${name}`, name, script);
  await t.deploy('hello', manifest, []);
  for (const name of names) await t.openAllowance(name, { maxUnits: '400000000' });
  return t;
}

interface StartOptions {
  readonly names?: readonly string[];
  readonly config?: Parameters<typeof TestSuperNodes.start>[1];
  readonly manifest?: object;
}

function client(t: TestSuperNodes, options: Partial<OrbOptions> = {}): Orb {
  const orb = new Orb({ url: [...t.peers.keys()].map((name) => t.url(name)), transport: 'link', ...options });
  clients.push(orb);
  return orb;
}

const block = Buffer.alloc(65_536, 'orb');
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'ok',
    (error: OrbError) => error.code,
  );
const running = async (t: TestSuperNodes, name = 'a') =>
  ((await (await fetch(`${t.url(name)}/v1/status`)).json()) as { totals: { running: number } }).totals.running;

describe('calls over one link', () => {
  test('three hundred at once: each gets its own answer, and each job is paid', async () => {
    const t = await start();
    const orb = client(t);
    const answers = await Promise.all(Array.from({ length: 300 }, (_, n) => orb.call('bob/hello', utf8(`call ${n}`))));
    expect(answers.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(answers.map((_, n) => `call ${n}`));
    for (const { info } of answers) expect(info.receipt?.checked).toEqual({ request: true, result: true });
    const jobs = answers.map(({ info }) => info.job!);
    expect(new Set(jobs).size).toBe(300);
    await expect
      .poll(async () => (await Promise.all(jobs.map((job) => t.net.ledger.job(job)))).filter((job) => job?.state === 'paid').length, {
        timeout: 20_000,
      })
      .toBe(300);
  });

  test('a web request arrives as it was sent, and its answer comes back as the gateway would give it', async () => {
    const t = await start({
      run: ({ method, path, headers }, body) => ({
        status: 418,
        headers: [
          ['x-made', 'yes'],
          ['location', '/next'],
          ['connection', 'close'],
          ['orb-job', 'forged'],
        ],
        body: JSON.stringify([method, path, headers, Buffer.from(body).toString()]),
      }),
    });
    const orb = client(t);
    const request = { method: 'put', headers: { 'X-Mine': 'ü', connection: 'x' }, body: 'abc' };
    const { response, info } = await orb.fetch('bob/hello/a b/../ü?q=1', request);
    expect([response.status, response.headers.get('location'), response.headers.get('orb-job')]).toEqual([418, '/fn/bob/hello/next', null]);
    expect(response.headers.has('connection')).toBe(false);
    expect(await response.json()).toEqual(['PUT', '/%C3%BC?q=1', [['x-mine', 'ü']], 'abc']);
    expect(info.receipt?.checked).toEqual({ request: true, result: true });
    await expect(orb.fetch('bob/hello/../../other/fn')).rejects.toMatchObject({ code: 'invalid-request' });
  });

  test('a body of six megabytes goes and comes in one piece, one byte more is refused before it is sent', async () => {
    const orb = client(await start());
    const body = new Uint8Array(6 * 1024 * 1024).fill(7);
    expect((await orb.call('bob/hello', body)).bytes).toEqual(body);
    expect(await codeOf(orb.call('bob/hello', new Uint8Array(body.length + 1)))).toBe('too-large');
    expect(await codeOf(orb.call('bob/hello', body, { outputLimit: 1_000 }))).toBe('too-large');
    expect((await orb.call('bob/hello', utf8('on'))).bytes).toEqual(utf8('on'));
  });

  test('what the function did wrong, and why it cannot be called, are errors with their codes, and name the job where there is one', async () => {
    const orb = client(await start({ run: () => ({ outcome: 'function-failed', error: 'out of cheese' }) }));
    const failed = await orb.call('bob/hello', 1).catch((error: OrbError) => error);
    expect(failed).toMatchObject({ code: 'function-failed', message: 'out of cheese', faultOf: 'function' });
    expect((failed as OrbError).details).toMatchObject({ job: expect.stringMatching(/^[0-9a-f]{32}-\d+$/) });
    await expect(orb.call('bob/nothing', 1)).rejects.toMatchObject({ code: 'unknown-function', details: undefined });
  });
});

describe('streams over a link', () => {
  const piecesOf = (count: number, made: () => void) =>
    async function* () {
      for (let i = 0; i < count; i++) {
        made();
        yield block;
      }
    };

  test('an answer is read as it is made, never made far ahead of its reader, and checked at its end', async () => {
    let made = 0;
    const orb = client(await start({ stream: piecesOf(400, () => made++) }));
    const { body, info } = await orb.stream('bob/hello', 1);
    let read = 0;
    let ahead = 0;
    for await (const piece of body) {
      read += piece.length;
      ahead = Math.max(ahead, made * block.length - read);
      if (read < 20 * block.length) for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    }
    expect(read).toBe(400 * block.length);
    // Two windows of a link, and what is in hand.
    expect(ahead).toBeLessThan(1024 * 1024);
    expect(info.receipt).toMatchObject({ bytesOut: read, checked: { request: true, result: true } });
    expect(info.times.run).toBeGreaterThan(0);
  });

  test('a request is sent as it is read, never far ahead of the function', async () => {
    let sent = 0;
    let read = 0;
    let ahead = 0;
    const t = await start({
      async *stream(_request, body) {
        for await (const piece of body) {
          read += piece.length;
          ahead = Math.max(ahead, sent * block.length - read);
          if (read < 20 * block.length) for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
        }
        yield utf8(String(read));
      },
    });
    const { response, info } = await client(t).fetch('bob/hello', { method: 'POST', body: piecesOf(400, () => sent++)() });
    expect(await response.text()).toBe(String(400 * block.length));
    // What the super node keeps to send again does not count: it has passed. Two windows, and what is in hand.
    expect(ahead).toBeLessThan(2 * 1024 * 1024);
    expect(info.receipt).toMatchObject({ bytesIn: read, checked: { request: true, result: true } });
  });

  test('a handler that stops reading in the middle has a receipt for as much as it read', async () => {
    const t = await start({
      async *stream(_request, body) {
        for await (const piece of body) {
          yield piece.subarray(0, 3);
          return;
        }
      },
    });
    const { response, info } = await client(t).fetch('bob/hello', { method: 'POST', body: piecesOf(100, () => undefined)() });
    expect(await response.text()).toBe('orb');
    expect(info.receipt!.bytesIn).toBeLessThan(100 * block.length);
    expect(info.receipt!.checked).toEqual({ request: true, result: true });
  });

  test('leaving an answer early, or aborting, stops the work at the node', async () => {
    const stopped: Promise<void>[] = [];
    const t = await start({
      async *stream(_request, _body, { signal }) {
        const { promise, resolve } = Promise.withResolvers<void>();
        stopped.push(promise);
        signal.addEventListener('abort', () => resolve());
        for (;;) yield block;
      },
    });
    const orb = client(t);
    for await (const piece of (await orb.stream('bob/hello', 1)).body) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    await stopped[0];
    const abort = new AbortController();
    const { body } = await orb.stream('bob/hello', 1, { signal: abort.signal });
    const reading = codeOf(Array.fromAsync(body));
    abort.abort();
    expect(await reading).toBe('cancelled');
    await stopped[1];
    await expect.poll(() => running(t)).toBe(0);
  });

  test('a stream that breaks off at the node is an error, never a short body', async () => {
    const t = await start({
      async *stream() {
        yield block;
        throw new Error('node fell over');
      },
    });
    const { body } = await client(t).stream('bob/hello', 1);
    expect(await codeOf(Array.fromAsync(body))).toBe('node-lost');
  });
});

describe('who calls over a link', () => {
  test('a private function answers the link of its owner’s key, and nobody else’s', async () => {
    const t = await start({}, { manifest: { visibility: 'private' } });
    const as = (signer?: OrbOptions['account']) => client(t, signer && { account: signer });
    expect((await as({ signer: t.bob }).call('bob/hello', utf8('x'))).bytes).toEqual(utf8('x'));
    expect(await codeOf(as({ signer: t.alice }).call('bob/hello', 1))).toBe('forbidden');
    expect(await codeOf(as({ signer: testSigner('unheard of') }).call('bob/hello', 1))).toBe('unauthenticated');
    expect(await codeOf(as().call('bob/hello', 1))).toBe('unauthenticated');
  });

  test('it runs at another super node too, which sees the owner’s signature', async () => {
    const t = (net = await TestSuperNodes.start(['a', 'b'], {}, { real: true }));
    await t.addNode('node', 'b');
    await t.deploy('hello', { visibility: 'private' });
    await t.heard('a', 'b');
    const orb = client(t, { url: t.url('a'), account: { signer: t.bob } });
    for (const word of ['once', 'twice']) expect((await orb.call('bob/hello', utf8(word))).bytes).toEqual(utf8(word));
    expect(await codeOf(client(t, { url: t.url('a'), account: { signer: t.alice } }).call('bob/hello', 1))).toBe('forbidden');
  });

  test('a token calls what it covers, as long as it lasts', async () => {
    const t = await start({}, { manifest: { visibility: 'private' } });
    await t.deploy('other', { visibility: 'private', memoryMiB: 256 }, []);
    const owner = new Orb({ url: t.url('a'), account: { signer: t.bob } });
    const terms = { functions: ['bob/hello'], expiresMs: Date.now() + 3_600_000 };
    const token = await owner.tokens.create(owner.owner, terms);
    const orb = client(t, { token });
    expect((await orb.call('bob/hello', utf8('x'))).bytes).toEqual(utf8('x'));
    expect(await codeOf(orb.call('bob/other', 1))).toBe('forbidden');
    const wrong = { ...token, secretAccessKey: 'x'.repeat(43) };
    expect(await codeOf(client(t, { token: wrong }).call('bob/hello', 1))).toBe('unauthenticated');
    await owner.tokens.revoke(owner.owner, token.accessKeyId);
    expect(await codeOf(orb.call('bob/hello', 1))).toBe('unauthenticated');
    expect(() => new Orb({ url: t.url('a'), token })).toThrow('A token is for links.');
  });
});

describe('limits and hints', () => {
  test('links and the gateway share one rate for an address; a call comes again when it was told to', async () => {
    const t = await start({}, { config: { callsPerSecond: 5 } });
    const eager = client(t, { retries: 0 });
    const codes = await Promise.all(Array.from({ length: 12 }, () => codeOf(eager.call('bob/hello', 1))));
    expect(codes.filter((code) => code === 'ok')).toHaveLength(10);
    expect(codes.filter((code) => code === 'rate-limited')).toHaveLength(2);
    expect((await fetch(`${t.url('a')}/fn/bob/hello`)).status).toBe(429);
    const patient = client(t);
    expect(await codeOf(patient.call('bob/hello', 1))).toBe('ok');
  });
});

describe('a super node that goes away', () => {
  test('stopping: what has begun ends, what comes after goes to the other', async () => {
    const begun = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const t = await start(
      {
        run: async (_request, body) => {
          if (Buffer.from(body).toString() !== 'slow') return { body };
          begun.resolve();
          await gate.promise;
          return { body };
        },
      },
      { names: ['a', 'b'], manifest: { timeoutMs: 20_000 } },
    );
    const orb = client(t);
    const slow = orb.call('bob/hello', utf8('slow'));
    await begun.promise;
    const stopping = t.stopPeer('a');
    await expect.poll(async () => (await orb.call('bob/hello', utf8('next'))).info.node).toBe(t.nodes[1]!.id);
    gate.resolve();
    expect((await slow).bytes).toEqual(utf8('slow'));
    await stopping;
    expect((await orb.call('bob/hello', utf8('on'))).bytes).toEqual(utf8('on'));
  });

  test('cut off in the middle: a call that may run twice is made again elsewhere, the other says that the link was lost', async () => {
    let begun = 0;
    const both = Promise.withResolvers<void>();
    const t = await start(
      {
        run: (request, body, node) => {
          if (node !== t.nodes[0]) return { body };
          if (++begun === 2) both.resolve();
          return new Promise(() => undefined);
        },
      },
      { names: ['a', 'b'], manifest: { timeoutMs: 20_000 } },
    );
    const orb = client(t);
    const once = codeOf(orb.call('bob/hello', utf8('once')));
    const repeatable = orb.call('bob/hello', utf8('twice'), { mayRepeat: true });
    await both.promise;
    await t.peer('a').transport.cut();
    expect(await once).toBe('link-closed');
    expect((await repeatable).info.node).toBe(t.nodes[1]!.id);
  });

  test('and comes back: the next call finds it, and one made meanwhile waits for it', async () => {
    const t = await start();
    const orb = client(t);
    await orb.call('bob/hello', 1);
    const ours = [...t.peer('a').transport.accepted].filter(({ peer }) => peer.role === 'client');
    await Promise.all(ours.map((link) => link.close()));
    expect(await codeOf(orb.call('bob/hello', 1))).toBe('ok');
  });

  test('a client that was closed makes no more calls', async () => {
    const orb = client(await start());
    await orb.call('bob/hello', 1);
    await orb.close();
    expect(await codeOf(orb.call('bob/hello', 1))).toBe('cancelled');
  });
});
