import { accountId, sha256, signRequest, type ErrorBody } from '@orb/protocol';
import { testSigner } from '@orb/ledger/testing';
import { afterEach, describe, expect, test } from 'vitest';
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
  await expect.poll(async () => ((answer = await fetch(url, init)), answer.status === 503 ? (await answer.clone().text()) : '')).not.toContain('replica');
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
    for (const [name, to] of [['one', 'a'], ['two', 'b']] as const) await net.addNode(name, to, { offer: { slots: 40 } });
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
async function rawPeer(net: TestSuperNodes, to: string, handler: { call?: (method: string) => unknown } = {}) {
  const { NamedTransport } = await import('../testing/named-transport.ts');
  const signer = testSigner('raw');
  await net.register(signer, { linkAddress: 'wss://raw.test:1', gatewayUrl: 'http://127.0.0.1:1' });
  return new NamedTransport('raw', net.names).dial(net.peer(to).running.linkAddress, {
    identity: { chain: net.peer(to).running.chain, role: 'super-node', signer },
    peerKey: net.peer(to).signer.publicKey,
    handler: { call: async ({ method }) => ({ header: handler.call?.(method) ?? {} }), notice() {} },
  });
}

function forwardOf(version: string, changes: object = {}) {
  return { call: '0'.repeat(32), attempt: 1, owner: 'bob', name: 'hello', version, method: 'GET', path: '/', headers: [], mode: 'http', waitedUs: 0, ...changes };
}

void accountId;
void sha256;
void signRequest;
void errorOf;
