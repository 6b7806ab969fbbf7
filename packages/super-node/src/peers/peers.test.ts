import {
  encodeSeeds,
  limits,
  receiptRow,
  requestHash,
  resultHash,
  sha256,
  signPresence,
  signRequest,
  superNodeId,
  ticketRow,
  utf8,
  type ErrorBody,
  type ForwardRequest,
  type Presence,
} from '@orb/protocol';
import { testJob, testSigner } from '@orb/ledger/testing';
import type { IncomingCall, OutgoingAnswer } from '@orb/link';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { NamedTransport } from '../testing/named-transport.ts';
import { TestSuperNodes } from '../testing/test-super-nodes.ts';

let t: TestSuperNodes | undefined;
afterEach(async () => {
  await t?.stop();
  t = undefined;
});

async function start(names = ['a', 'b'], config: Parameters<typeof TestSuperNodes.start>[1] = {}): Promise<TestSuperNodes> {
  t = await TestSuperNodes.start(names, config);
  return t;
}

/** Calls until presence has made its way: an answer other than "nobody holds a replica". */
async function callWhenKnown(url: string, init?: RequestInit): Promise<Response> {
  let answer!: Response;
  await expect
    .poll(async () => ((answer = await fetch(url, init)), answer.status === 503 ? await answer.clone().text() : ''))
    .not.toContain('replica');
  return answer;
}

async function errorOf(answer: Response): Promise<ErrorBody & { status: number }> {
  const { error } = (await answer.json()) as { error: ErrorBody };
  return { ...error, status: answer.status };
}

const paid = (net: TestSuperNodes, job: string) => expect.poll(async () => (await net.net.ledger.job(job))?.state).toBe('paid');

describe('a call that enters at one super node and runs on a node of another', () => {
  test('comes back with the same headers, is settled once by the super node of the node, and paid from its allowance', async () => {
    const net = await start();
    const node = await net.addNode('node', 'b', { run: (request, body) => ({ status: 201, body: `${request.path} ${body.byteLength}` }) });
    await net.deploy('hello');
    const answer = await callWhenKnown(`${net.url('a')}/fn/bob/hello/x?y=1`, { method: 'POST', body: 'abc' });
    expect([answer.status, await answer.text()]).toEqual([201, '/x?y=1 3']);
    expect(answer.headers.get('orb-node')).toBe(node.id);
    expect(answer.headers.get('orb-attempt')).toBe('1');
    expect(answer.headers.get('server-timing')).toMatch(/^prc;dur=[\d.]+, setup;dur=0.000, run;dur=0.001/);
    const job = answer.headers.get('orb-job')!;
    await paid(net, job);
    const record = (await net.net.ledger.job(job))!;
    expect(record.superNode).toBe(net.peer('b').running.id);
    expect(record.ticket[3]).toBe(answer.headers.get('orb-call'));
    expect(record.acknowledgement?.[0]).toBe(true);
    expect(node.jobs).toHaveLength(1);
  });

  test('stays here while a node here has room, and spills over when none has', async () => {
    const net = await start();
    const gate = Promise.withResolvers<void>();
    const here = await net.addNode('here', 'a', { offer: { slots: 1 }, run: async () => (await gate.promise, { body: 'here' }) });
    const there = await net.addNode('there', 'b', { run: () => ({ body: 'there' }) });
    await net.deploy('hello');
    await callWhenKnown(`${net.url('b')}/fn/bob/hello`);
    const url = `${net.url('a')}/fn/bob/hello`;
    const first = fetch(url);
    await expect.poll(() => here.jobs.length).toBe(1);
    expect(await (await callWhenKnown(url)).text()).toBe('there');
    gate.resolve();
    expect(await (await first).text()).toBe('here');
    expect(await (await fetch(url)).text()).toBe('here');
    expect(there.jobs.length).toBeGreaterThan(0);
  });

  test('three hundred at once, from both sides: every answer reaches its own caller and every job is paid once', async () => {
    const net = await start();
    for (const [name, to] of [
      ['one', 'a'],
      ['two', 'b'],
    ] as const)
      await net.addNode(name, to, { offer: { slots: 40 } });
    await net.deploy('echo');
    for (const name of ['a', 'b']) await callWhenKnown(`${net.url(name)}/fn/bob/echo`);
    const answers = await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        const answer = await fetch(`${net.url(i % 3 === 0 ? 'b' : 'a')}/fn/bob/echo`, { method: 'POST', body: `call ${i}` });
        return { text: await answer.text(), job: answer.headers.get('orb-job')! };
      }),
    );
    expect(answers.map(({ text }) => text)).toEqual(Array.from({ length: 300 }, (_, i) => `call ${i}`));
    expect(new Set(answers.map(({ job }) => job)).size).toBe(300);
    for (const { job } of answers) await paid(net, job);
  });

  test('never makes a second hop: the host answers that it has no node', async () => {
    const net = await start(['a', 'b', 'c']);
    const node = await net.addNode('node', 'c');
    await net.deploy('hello');
    await callWhenKnown(`${net.url('b')}/fn/bob/hello`);
    const before = node.jobs.length;
    const link = await rawPeer(net, 'b');
    const answer = await link.call('forward', forwardOf(net.nodes[0]!.jobs[0]!.ticket[5]));
    expect(answer.header).toMatchObject({ ended: 'failed', started: false, error: { code: 'no-node-fits' } });
    await link.close();
    expect(node.jobs).toHaveLength(before);
  });
});

/** Links to a super node as another one that is registered, to say whatever a test wants. */
async function rawPeer(
  net: TestSuperNodes,
  to: string,
  answer: (call: IncomingCall) => Promise<OutgoingAnswer> = async () => ({ header: {} }),
) {
  await net.register(raw, { linkAddress: 'wss://raw.test:1', gatewayUrl: 'http://127.0.0.1:1' });
  return new NamedTransport('raw', net.names).dial(net.peer(to).running.linkAddress, {
    identity: { chain: net.net.ledger.chain, role: 'super-node', signer: raw },
    peerKey: net.peer(to).signer.publicKey,
    handler: { call: answer, notice() {} },
  });
}
const raw = testSigner('raw');

function forwardOf(version: string, changes: Partial<ForwardRequest> = {}): ForwardRequest {
  return {
    call: '0'.repeat(32),
    attempt: 1,
    owner: 'bob',
    name: 'hello',
    version,
    method: 'GET',
    path: '/',
    headers: [],
    mode: 'http',
    waitedUs: 0,
    ...changes,
  };
}

const never = () => new Promise<never>(() => undefined);

describe('money', () => {
  test('an allowance at the super node of the node alone is enough, wherever the call enters', async () => {
    const net = await start();
    await net.addNode('node', 'b', { run: () => ({ body: 'there' }) });
    await net.deploy('hello', {}, ['b']);
    expect((await callWhenKnown(`${net.url('a')}/fn/bob/hello`)).status).toBe(200);
  });

  test('without one here a call goes where there is one, though a node here is free', async () => {
    const net = await start();
    const here = await net.addNode('here', 'a');
    await net.addNode('there', 'b', { run: () => ({ body: 'there' }) });
    await net.deploy('hello', {}, ['b']);
    await callWhenKnown(`${net.url('b')}/fn/bob/hello`);
    await expect.poll(async () => (await fetch(`${net.url('a')}/fn/bob/hello`)).text()).toBe('there');
    expect(here.jobs).toHaveLength(0);
  });

  test('402 when there is none at either', async () => {
    const net = await start();
    await net.addNode('node', 'b');
    await net.deploy('hello', {}, ['a']);
    const answer = await callWhenKnown(`${net.url('a')}/fn/bob/hello`);
    expect(await errorOf(answer)).toMatchObject({ status: 402, code: 'payment-required' });
  });

  test('a job whose entry is lost before it says a word is paid all the same', async () => {
    const net = await start();
    const gate = Promise.withResolvers<void>();
    const node = await net.addNode('node', 'b', { run: async ({ path }) => (path === '/wait' && (await gate.promise), { body: 'x' }) });
    await net.deploy('hello');
    const version = (await callWhenKnown(`${net.url('b')}/fn/bob/hello`), node.jobs[0]!.ticket[5]);
    const link = await rawPeer(net, 'b');
    const answer = await link.call('forward', forwardOf(version));
    await answer.body.bytes(10);
    const { ticket } = (await answer.trailer) as { ticket: (string | number)[] };
    await link.close();
    await paid(net, `${ticket[0]}-${ticket[1]}`);
    gate.resolve();
  });
});

describe('a private function', () => {
  const signed = (net: TestSuperNodes, at: string, path: string, nonce?: string) =>
    signRequest(
      { method: 'GET', url: `${net.url(at)}${path}`, body: new Uint8Array() },
      net.net.ledger.chain,
      net.bob,
      Date.now(),
      nonce,
    ) as unknown as Record<string, string>;

  test('answers its owner through another super node, which sees the owner’s own signature', async () => {
    const net = await start();
    await net.addNode('node', 'b', { run: () => ({ body: 'secret' }) });
    await net.deploy('hidden', { visibility: 'private' });
    await expect
      .poll(async () => (await fetch(`${net.url('a')}/fn/bob/hidden/x?y`, { headers: signed(net, 'a', '/fn/bob/hidden/x?y') })).text())
      .toBe('secret');
    expect((await fetch(`${net.url('a')}/fn/bob/hidden`)).status).toBe(401);
  });

  test('does not answer a super node that makes a caller up, or repeats one', async () => {
    const net = await start();
    const node = await net.addNode('node', 'b', { run: () => ({ body: 'secret' }) });
    const version = await net.deploy('hello', { visibility: 'private' });
    const link = await rawPeer(net, 'b');
    const ask = async (changes: Partial<ForwardRequest>) => (await link.call('forward', forwardOf(version, changes))).header;
    expect(await ask({})).toMatchObject({ ended: 'failed', started: false, error: { code: 'unauthenticated' } });
    // Signed for b’s own gateway, not for that of the super node that hands it over.
    const foreign = { target: '/fn/bob/hello', ...signed(net, 'b', '/fn/bob/hello') } as unknown as ForwardRequest['signed'];
    expect(await ask({ signed: foreign })).toMatchObject({ error: { code: 'unauthenticated' } });
    const url = 'http://127.0.0.1:1/fn/bob/hello';
    const own = {
      target: '/fn/bob/hello',
      ...signRequest({ method: 'GET', url, body: new Uint8Array() }, net.net.ledger.chain, net.bob, Date.now()),
    } as unknown as ForwardRequest['signed'];
    expect(await ask({ signed: own, path: '/other' })).toMatchObject({ error: { code: 'unauthenticated' } });
    expect(await ask({ signed: own })).toMatchObject({ ended: 'answered' });
    expect(await ask({ signed: own })).toMatchObject({
      error: { code: 'unauthenticated', message: expect.stringContaining('used already') },
    });
    expect(node.jobs).toHaveLength(1);
    await link.close();
  });
});

describe('the loss of a super node', () => {
  /** A call at a that hangs on b's only node. */
  async function hang(net: TestSuperNodes, script: { slots?: number } = {}, manifest = {}) {
    const first = await net.addNode('first', 'b', { offer: { slots: script.slots ?? 4 }, run: never });
    const version = await net.deploy('hello', manifest);
    await net.heard('a', 'b');
    const url = `${net.url('a')}/fn/bob/hello`;
    const answer = fetch(url);
    await expect.poll(() => first.jobs.length).toBe(1);
    return { first, version, url, answer };
  }

  test('ends what it had begun in an error that says so, and runs it nowhere else', async () => {
    const net = await start(['a', 'b', 'c']);
    const { first, version, answer } = await hang(net);
    const second = await net.addNode('second', 'c');
    await second.offerSeeds([version]);
    await net.heard('a', 'c');
    await net.peer('b').transport.cut();
    expect(await errorOf(await answer)).toMatchObject({ status: 503, code: 'node-lost', retryable: true });
    expect([first.jobs.length, second.jobs.length]).toEqual([1, 0]);
  });

  test('is made good elsewhere when the function may run twice', async () => {
    const net = await start(['a', 'b', 'c']);
    const { version, answer } = await hang(net, {}, { idempotent: true });
    const second = await net.addNode('second', 'c', { run: () => ({ body: 'second' }) });
    await second.offerSeeds([version]);
    await net.heard('a', 'c');
    await net.peer('b').transport.cut();
    const done = await answer;
    expect([await done.text(), done.headers.get('orb-attempt'), done.headers.get('orb-node')]).toEqual(['second', '2', second.id]);
  });

  test('lets what still waits go elsewhere by itself', async () => {
    const net = await start(['a', 'b', 'c']);
    const gate = Promise.withResolvers<void>();
    const { first, version, url, answer } = await hang(net, { slots: 1 });
    const second = await net.addNode('second', 'c', { offer: { slots: 1 }, run: async () => (await gate.promise, { body: 'second' }) });
    await second.offerSeeds([version]);
    await net.heard('a', 'c');
    const other = fetch(url);
    await expect.poll(() => second.jobs.length).toBe(1);
    const waiting = fetch(url);
    await net.peer('b').transport.cut();
    expect((await answer).status).toBe(503);
    gate.resolve();
    expect([await (await other).text(), await (await waiting).text()]).toEqual(['second', 'second']);
    expect([first.jobs.length, second.jobs.length]).toEqual([1, 2]);
  });
});

/** A registered super node that says it has everything, and answers as the test wants. */
async function liar(net: TestSuperNodes, version: string, answer: (forward: ForwardRequest) => OutgoingAnswer | Promise<OutgoingAnswer>) {
  const link = await rawPeer(net, 'a', async ({ method, header }) => {
    if (method !== 'forward') return { header: { known: true } };
    return answer(header as ForwardRequest);
  });
  const list = encodeSeeds(new Map([[version, 1]]));
  const tell = (changes: Partial<Presence> = {}, body: Uint8Array = list) =>
    link.call('presence', signPresence({ ...presenceOf(net, list), ...changes }, raw), body);
  return { link, tell };
}

function presenceOf(net: TestSuperNodes, list: Uint8Array): Presence {
  return {
    v: 1,
    chain: net.net.ledger.chain,
    superNode: superNodeId(raw.publicKey),
    sequence: Date.now(),
    expires: Date.now() + 5_000,
    freeSlots: 5,
    running: 0,
    waiting: 0,
    answerMs: 1,
    seeds: sha256(list),
  };
}

describe('a host that lies', () => {
  const proofOf = (forward: ForwardRequest, body: string, changes: { call?: string; requestHash?: string; result?: string } = {}) => {
    const { ticket, receipt } = testJob(
      {
        allowance: '0'.repeat(32),
        sequence: 0,
        function: t!.net ? forwardFunction : '',
        version: forward.version,
        notAfter: Date.now() + 1_000,
        call: changes.call ?? forward.call,
        requestHash: changes.requestHash ?? requestHash(forward.method, forward.path, sha256(new Uint8Array())),
      },
      { resultHash: resultHash(200, sha256(utf8(changes.result ?? body))) },
    );
    return {
      header: { ended: 'answered', status: 200, headers: [] },
      body: utf8(body),
      trailer: { ticket: ticketRow(ticket), receipt: receiptRow(receipt), node: sha256('node'), prcUs: 1 },
    };
  };
  let forwardFunction = '';

  test.each([
    ['another result', { result: 'other' }],
    ['another call', { call: 'f'.repeat(32) }],
    ['another request', { requestHash: sha256('other') }],
  ])('with a receipt for %s gets nothing through to the caller, and no more calls', async (_, lie) => {
    const net = await start(['a']);
    const version = await net.deploy('hello');
    forwardFunction = (await ((await fetch(`${net.url('a')}/v1/functions/bob/hello`)).json() as Promise<{ record: { id: string } }>)).record
      .id;
    let asked = 0;
    const { tell } = await liar(net, version, (forward) => (asked++, proofOf(forward, 'poison', lie)));
    await tell();
    const error = await errorOf(await fetch(`${net.url('a')}/fn/bob/hello`));
    expect(error).toMatchObject({ status: 503, code: 'node-lost' });
    expect(net.peer('a').warnings.join()).toContain('another');
    expect((await fetch(`${net.url('a')}/fn/bob/hello`)).status).toBe(503);
    expect(asked).toBe(1);
  });

  test('with a receipt for another result at the end of a stream breaks the stream off, and gets no more calls', async () => {
    const net = await start(['a']);
    const version = await net.deploy('hello');
    forwardFunction = (await ((await fetch(`${net.url('a')}/v1/functions/bob/hello`)).json() as Promise<{ record: { id: string } }>)).record
      .id;
    const { tell } = await liar(net, version, (forward) => {
      const { body, trailer } = proofOf(forward, 'poison', { result: 'other' });
      const header = { ended: 'answered', status: 200, headers: [], job: { ticket: trailer.ticket, node: trailer.node } };
      return { header, body, trailer };
    });
    await tell();
    await expect((await fetch(`${net.url('a')}/fn/bob/hello`)).text()).rejects.toThrow();
    expect(net.peer('a').warnings.join()).toContain('another result');
    expect((await fetch(`${net.url('a')}/fn/bob/hello`)).status).toBe(503);
  });

  test('that swallows calls costs one of them its time, and gets no more', async () => {
    const net = await start(['a']);
    const version = await net.deploy('hello');
    let asked = 0;
    const { tell } = await liar(net, version, () => (asked++, new Promise<never>(() => undefined)));
    await tell();
    const swallowed = fetch(`${net.url('a')}/fn/bob/hello`);
    await expect.poll(() => asked).toBe(1);
    const now = performance.now.bind(performance);
    const later = vi.spyOn(performance, 'now').mockImplementation(() => now() + limits.timeoutMs.default + 30_000);
    try {
      expect(await errorOf(await swallowed)).toMatchObject({ status: 503, code: 'node-lost' });
    } finally {
      later.mockRestore();
    }
    await tell({ sequence: Date.now() + 1 });
    expect(await errorOf(await fetch(`${net.url('a')}/fn/bob/hello`))).toMatchObject({ status: 503, code: 'no-node-fits' });
    expect(asked).toBe(1);
  });

  test('but the same answer with a right receipt does get through', async () => {
    const net = await start(['a']);
    const version = await net.deploy('hello');
    forwardFunction = (await ((await fetch(`${net.url('a')}/v1/functions/bob/hello`)).json() as Promise<{ record: { id: string } }>)).record
      .id;
    const { tell } = await liar(net, version, (forward) => proofOf(forward, 'fine'));
    await tell();
    expect(await (await fetch(`${net.url('a')}/fn/bob/hello`)).text()).toBe('fine');
  });
});

describe('presence', () => {
  test.each([
    [
      'played again',
      (net: TestSuperNodes, list: Uint8Array) => [signPresence(presenceOf(net, list), raw), signPresence(presenceOf(net, list), raw)],
    ],
  ])('that is %s closes the link', async (_, make) => {
    const net = await start(['a']);
    const list = encodeSeeds(new Map([[sha256('v'), 1]]));
    const link = await rawPeer(net, 'a');
    const [first] = make(net, list) as [ReturnType<typeof signPresence>];
    await link.call('presence', first, list);
    await expect(link.call('presence', first, list)).rejects.toMatchObject({
      code: expect.stringMatching(/protocol-violation|link-closed/),
    });
    await link.closed;
  });

  test.each([
    ['signed by another key', (presence: Presence) => signPresence(presence, testSigner('other'))],
    ['of another super node', (presence: Presence) => signPresence({ ...presence, superNode: sha256('x') }, raw)],
    ['of another network', (presence: Presence) => signPresence({ ...presence, chain: sha256('x') }, raw)],
    ['over long ago', (presence: Presence) => signPresence({ ...presence, expires: Date.now() - 120_000 }, raw)],
    ['with more than is allowed in it', (presence: Presence) => signPresence({ ...presence, freeSlots: 1e9 }, raw)],
    ['with another list than it names', (presence: Presence) => signPresence({ ...presence, seeds: sha256('x') }, raw)],
  ])('that is %s closes the link', async (_, forge) => {
    const net = await start(['a']);
    const list = encodeSeeds(new Map([[sha256('v'), 1]]));
    const link = await rawPeer(net, 'a');
    await expect(link.call('presence', forge(presenceOf(net, list)), list)).rejects.toMatchObject({
      code: expect.stringMatching(/protocol-violation|link-closed/),
    });
    await link.closed;
  });

  test('comes only from super nodes that are on the ledger', async () => {
    const net = await start(['a']);
    const dial = new NamedTransport('stranger', net.names).dial(net.peer('a').running.linkAddress, {
      identity: { chain: net.net.ledger.chain, role: 'super-node', signer: testSigner('stranger') },
      peerKey: net.peer('a').signer.publicKey,
      handler: { call: async () => ({ header: {} }), notice() {} },
    });
    await expect(dial).rejects.toMatchObject({ code: 'link-refused', message: expect.stringContaining('not registered') });
  });
});

describe('a node of two super nodes', () => {
  test('that is full of one’s work keeps the other’s waiting, and fails nobody', async () => {
    const net = await start();
    // Two sessions of one computer: three slots in all, though each super node is told of three.
    let busy = 0;
    const { OrbError } = await import('@orb/protocol');
    const run = async () => {
      if (busy >= 3) throw new OrbError('node-refused', { message: 'all slots are taken', details: { reason: 'no-slot' } });
      busy++;
      await new Promise((resolve) => setTimeout(resolve, 5));
      busy--;
      return { body: 'done' };
    };
    await net.addNode('left', 'a', { offer: { slots: 3 }, run });
    await net.addNode('right', 'b', { offer: { slots: 3 }, run });
    await net.deploy('hello');
    for (const name of ['a', 'b']) await callWhenKnown(`${net.url(name)}/fn/bob/hello`);
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => fetch(`${net.url(i % 2 ? 'a' : 'b')}/fn/bob/hello`)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  });
});

test('a super node fetches code that was deployed at another, for its own nodes to seed', async () => {
  const net = await start();
  const code = utf8('// shared');
  await net.peer('a').store.put(sha256(code), code);
  const node = await net.addNode('node', 'b');
  await net.deploy('shared', { code: { sha256: sha256(code), bytes: code.byteLength } });
  await expect(node.fetchCode(sha256(code))).rejects.toMatchObject({ code: 'forbidden' });
  const link = await rawPeer(net, 'a');
  expect(await (await link.call('fetch-code', { sha256: sha256(code) })).body.bytes(100)).toEqual(Buffer.from(code));
  await expect(link.call('fetch-code', { sha256: sha256('not on the ledger') })).rejects.toMatchObject({ code: 'not-found' });
  await link.close();
});
