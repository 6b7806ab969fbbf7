import { createMemoryLedger } from '@orb/ledger/memory';
import { orderer, TestClock, testGenesis, testManifest, TestNetwork } from '@orb/ledger/testing';
import { sha256, type Offer, type SeedRequest } from '@orb/protocol';
import { expect, test } from 'vitest';
import { FunctionRegistry } from '../registry/function-registry.ts';
import { NodeRegistry, type NodeSession } from '../registry/node-registry.ts';
import { KeepReplicas } from './keep-replicas.ts';
import { Publications } from './publications.ts';

const offer = {
  accepting: true,
  runtimes: ['deno-2'],
  isolation: 'namespaces',
  memoryMiB: 1_024,
  rate: '10',
  labels: {},
} as unknown as Offer;

/** What a super node has in memory after a start: all of the ledger, and no node yet. */
async function started(names: readonly string[]) {
  const clock = new TestClock();
  const ledger = await createMemoryLedger({ genesis: testGenesis(), ordererKey: orderer, clock: clock.read });
  const net = new TestNetwork(ledger, clock);
  const bob = await net.createAccount('bob');
  const created = [];
  for (const name of names) created.push(await net.createFunction(bob, name, testManifest({ replicas: 1 })));
  const functions = new FunctionRegistry({ ledger });
  await functions.load();
  const nodes = new NodeRegistry();
  const asked: string[] = [];
  const seeded = Promise.withResolvers<void>();
  const link = (name: string): NodeSession => {
    const call = async (_: string, { name: fn }: SeedRequest) => (asked.push(`${name} ${fn}`), { header: { seeding: true } });
    const session = { id: sha256(name), label: name, offer, seeds: new Set(), held: new Set(), asked: new Set(), link: { call } };
    nodes.add(session as unknown as NodeSession);
    return session as unknown as NodeSession;
  };
  const keep = new KeepReplicas({
    functions,
    nodes,
    publications: new Publications({ ledger }),
    secrets: { whyNot: () => undefined, deliver: async () => undefined },
    onSeeded: () => seeded.resolve(),
    log: { info() {}, warn() {}, error() {} },
    returnMs: 50,
  });
  return { keep, nodes, functions, asked, link, seeded: seeded.promise, created };
}

test('after a start nodes are given time to link again; then functions that lack seeders get some, though nothing is said of them', async () => {
  const { keep, nodes, functions, asked, link, seeded, created } = await started(['lost', 'kept']);
  const kept = functions.versionsOf(created[1]!.id)[0]!;
  link('new');
  keep.nodeUp();
  nodes.markSeeding(link('old'), kept.replica);
  expect(asked).toEqual([]);
  await seeded;
  await keep.stop();
  expect(asked.map((line) => line.split(' ')[1])).toEqual(['bob/lost']);
});
