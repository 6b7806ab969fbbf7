import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { httpUpstream, openReplicaLedger, type ReplicaLedger } from '@orb/ledger/replica';
import { TestNetwork, testSigner } from '@orb/ledger/testing';
import { blockHash } from '@orb/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestSuperNode } from '../testing/test-super-node.ts';

let superNode: TestSuperNode;
let folder: string;
const opened: ReplicaLedger[] = [];

beforeEach(async () => {
  superNode = await TestSuperNode.start();
  folder = await mkdtemp(join(tmpdir(), 'orb-replica-'));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((replica) => replica.close()));
  await superNode.stop();
  await rm(folder, { recursive: true, force: true });
});

async function openReplica(url = superNode.url): Promise<ReplicaLedger> {
  const { chain, genesis } = superNode.net.ledger;
  const backOff = { firstMs: 5, mostMs: 20 };
  const replica = await openReplicaLedger({ folder, genesis, upstream: httpUpstream({ url, chain }), backOff });
  opened.push(replica);
  return replica;
}

const reached = (replica: ReplicaLedger, height: number) =>
  new Promise<void>((resolve) => {
    const following = replica.follow(height, () => (following.stop(), resolve()));
  });

test('a replica follows a super node over HTTP, block by block as they are made', async () => {
  const replica = await openReplica();
  await superNode.net.createAccount('carol');
  await reached(replica, superNode.net.ledger.head.height);
  expect(blockHash(replica.head)).toBe(blockHash(superNode.net.ledger.head));
  expect(replica.status).toMatchObject({ state: 'following', error: undefined });
});

test('what is submitted to a replica is ordered by the super node, and is in the replica’s own copy when it answers', async () => {
  const replica = await openReplica();
  const net = new TestNetwork(replica, superNode.net.clock);
  await net.createAccount('carol');
  expect(await replica.get('account-name/carol')).toBeDefined();
  const again = net.sign('account.create', { name: 'carol', key: testSigner('other').publicKey, roles: [] }, testSigner('other'));
  await expect(replica.submit(again)).rejects.toMatchObject({ code: 'name-taken' });
});

test('a replica of another network is told so, and nothing is kept', async () => {
  const { genesis } = superNode.net.ledger;
  const other = { ...genesis, name: 'other' };
  const upstream = httpUpstream({ url: superNode.url, chain: superNode.net.ledger.chain });
  await expect(openReplicaLedger({ folder, genesis: other, upstream })).rejects.toMatchObject({ code: 'wrong-chain' });
});

test('following from beyond the head waits for it, and a height that is none is refused', async () => {
  const bad = await fetch(`${superNode.url}/v1/ledger/follow?from=-1`);
  expect(bad.status).toBe(400);
  const ending = new AbortController();
  const next = superNode.net.ledger.head.height + 1;
  const response = await fetch(`${superNode.url}/v1/ledger/follow?from=${next}`, { signal: ending.signal });
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  expect(decoder.decode((await reader.read()).value)).toBe('\n');
  await superNode.net.createAccount('carol');
  expect(JSON.parse(decoder.decode((await reader.read()).value))).toMatchObject({ header: { height: next } });
  ending.abort();
});
