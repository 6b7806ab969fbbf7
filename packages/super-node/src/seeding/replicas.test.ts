import { sha256, signRequest, utf8, type Signer } from '@orb/protocol';
import { testManifest } from '@orb/ledger/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TestSuperNodes } from '../testing/test-super-nodes.ts';

const code = utf8('// the same for both');
const manifest = testManifest({ replicas: 1, timeoutMs: 1_000, code: { sha256: sha256(code), bytes: code.length } });

let t: TestSuperNodes;
let carol: Signer;
beforeEach(async () => {
  t = await TestSuperNodes.start(['a', 'b']);
  carol = await t.net.createAccount('carol', 1_000_000_000n);
  for (const { store } of t.peers.values()) await store.put(sha256(code), code);
});
afterEach(() => t.stop());

const publish = async (owner: Signer, name: string) => {
  const fn = await t.net.createFunction(owner, name, manifest);
  for (const { signer } of t.peers.values()) {
    await t.net.openAllowance(owner, signer, { maxUnits: '10000000', maxPerCall: '100000000', expires: Date.now() + 3_600_000 });
  }
  return fn;
};

/** Has a super node ask its nodes to seed. */
async function seed(at: string, owner: Signer, path: string): Promise<{ type: string }> {
  const url = `${t.url(at)}/v1/functions/${path}/seed`;
  const body = utf8('{}');
  const headers = signRequest({ method: 'POST', url, body }, t.net.ledger.chain, owner, Date.now());
  const lines = (await (await fetch(url, { method: 'POST', headers: { ...headers }, body })).text()).trim().split('\n');
  return JSON.parse(lines.at(-1)!) as { type: string };
}

const call = (at: string, path: string) => fetch(`${t.url(at)}/fn/${path}`, { method: 'POST', body: '1' });
const ready = async (at: string, path: string) =>
  ((await (await fetch(`${t.url(at)}/v1/functions/${path}`)).json()) as { replicas: { ready: number } }).replicas.ready;

describe('two owners have published the same version', () => {
  test('a node that seeds one’s gets no calls of the other’s, here or through another super node, and is asked to seed it too', async () => {
    const script: { tellsReplicas: true; refuseSeeding?: string } = { tellsReplicas: true };
    const node = await t.addNode('ant', 'a', script);
    const [hers, his] = [await publish(carol, 'hello'), await publish(t.bob, 'hello')];
    expect(hers.version).toBe(his.version);
    expect(await seed('a', t.bob, 'bob/hello')).toMatchObject({ type: 'done' });
    script.refuseSeeding = 'not this one';
    await node.offerSeeds([]);
    await t.heard('b', 'a');
    expect([await ready('a', 'bob/hello'), await ready('a', 'carol/hello')]).toEqual([1, 0]);
    for (const at of ['a', 'b']) {
      await expect.poll(async () => (await call(at, 'bob/hello')).status).toBe(200);
      const none = await call(at, 'carol/hello');
      expect([none.status, await none.text()]).toEqual([503, expect.stringContaining('no node that is online holds a replica')]);
    }
    expect(node.jobs.map(({ ticket }) => ticket[4])).not.toContain(hers.id);
    delete script.refuseSeeding;
    expect(await seed('a', carol, 'carol/hello')).toMatchObject({ type: 'done' });
    await node.offerSeeds([]);
    expect([await ready('a', 'bob/hello'), await ready('a', 'carol/hello')]).toEqual([1, 1]);
    for (const at of ['a', 'b']) await expect.poll(async () => (await call(at, 'carol/hello')).status).toBe(200);
  });

  test('the end of one is not the end of the other', async () => {
    const node = await t.addNode('ant', 'a', { tellsReplicas: true });
    const [hers] = [await publish(carol, 'one'), await publish(t.bob, 'two')];
    for (const [owner, path] of [
      [carol, 'carol/one'],
      [t.bob, 'bob/two'],
    ] as const)
      await seed('a', owner, path);
    await t.net.send('function.control', { function: hers.id, sequence: 1, action: { type: 'decommission' } }, hers.controlKey);
    await expect.poll(() => node.notices.filter(([method]) => method === 'drop')).toHaveLength(1);
    expect(node.notices.at(-1)![1]).toMatchObject({ function: hers.id, version: hers.version });
    expect((await call('a', 'bob/two')).status).toBe(200);
  });

  test('a node of the version before, which does not say whose, counts for both', async () => {
    const node = await t.addNode('old', 'a');
    await publish(carol, 'hello');
    const { version } = await publish(t.bob, 'hello');
    await node.offerSeeds([version]);
    expect([await ready('a', 'bob/hello'), await ready('a', 'carol/hello')]).toEqual([1, 1]);
  });
});

test('an offer whose list is not as long as it says is refused', async () => {
  const node = await t.addNode('liar', 'a', { tellsReplicas: true, offer: { replicas: 0 } });
  const { version } = await publish(t.bob, 'hello');
  node.replicas.add(version);
  await expect(node.offerSeeds([])).rejects.toMatchObject({ code: 'protocol-violation' });
});

test('a node that was away when a function ended is told when it links again, and counts no more', async () => {
  const node = await t.addNode('ant', 'a', { tellsReplicas: true });
  const fn = await publish(t.bob, 'hello');
  await seed('a', t.bob, 'bob/hello');
  await node.unlink();
  await t.net.send('function.control', { function: fn.id, sequence: 1, action: { type: 'decommission' } }, fn.controlKey);
  await fetch(`${t.url('a')}/v1/functions/bob/hello`);
  await node.link(t.peer('a').running.linkAddress);
  await expect.poll(() => node.notices.map(([method]) => method)).toContain('drop');
  expect(node.notices.find(([method]) => method === 'drop')![1]).toMatchObject({ function: fn.id, version: fn.version });
  const { nodes } = (await (await fetch(`${t.url('a')}/v1/status`)).json()) as { nodes: { seeds: number }[] };
  expect(nodes.map(({ seeds }) => seeds)).toEqual([0]);
});
