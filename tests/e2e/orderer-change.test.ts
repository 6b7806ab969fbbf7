import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkJobProof, type BlockHeader, type Json } from '@orb/protocol';
import { Orb } from '@orb/sdk';
import { checkBooks } from './books.ts';
import { Network } from './network.ts';
import type { OrbProcess } from './orb-process.ts';
import { SecondSuperNode } from './second-super-node.ts';
import { until } from './until.ts';

/*
 * The orderer is killed under load, and its peers give the ledger to another: a second super node, which its three peers
 * choose. Two of the peers are plain copies, one is the second super node itself.
 */
let network: Network;
let second: SecondSuperNode;
let firstGateway: string;
const peers = new Map<string, { process: OrbProcess; url: string }>();
/** Proofs of jobs of both epochs. */
const proofs: string[] = [];

beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'] });
  firstGateway = network.gateway;
  second = await SecondSuperNode.join(network, { callsPerSecond: 100_000 });
  await second.startNode('bee');
  for (const name of ['ann', 'bea']) {
    await network.ok('account', 'create', name, '--role', 'peer');
    await startPeer(name);
  }
  await network.ok('ledger', 'vote', '--peers', 'ann,bea,operator', '--treasury', network.superNodeFolder);
  const file = await network.write('add.ts', 'export default ({ a, b }: { a: number; b: number }) => ({ sum: a + b });');
  for (const gateway of [network.gateway, second.gateway]) {
    await network.ok('deploy', file, '--replicas', '1', '--budget', '5', '--gateway', gateway);
  }
}, 300_000);
afterAll(() => network?.stop());

async function startPeer(name: string): Promise<void> {
  const others = [...peers.values()].flatMap(({ url }) => ['--other', url]);
  const listen = peers.get(name) ? new URL(peers.get(name)!.url).host : '127.0.0.1:0';
  const flags = ['--folder', join(network.folder, `peer-${name}`), '--account', name, '--chain', network.links.chain, '--listen', listen];
  const process = network.spawn(`peer ${name}`, ['ledger', 'peer', 'start', ...flags, ...others, '--other', second.gateway, '--json']);
  peers.set(name, { process, url: ((await process.ready()) as { url: string }).url });
}

const head = async (url: string): Promise<BlockHeader> => (await new Orb({ url }).network()).head;
const peerUrl = (name: string) => peers.get(name)!.url;
const epochAt = (url: string) =>
  new Orb({ url }).ledger.orderer().then(
    (standing) => standing?.epoch,
    () => undefined,
  );

/** A job that the second super node has run, once the ledger has paid it. */
async function paidJob(): Promise<string> {
  const { job } = await until('a call to be answered', async () => {
    const answer = await second.call('add', { event: { a: 1, b: 2 } }).catch(() => undefined);
    return answer?.status === 200 && answer;
  });
  await until(`job ${job} to be paid`, async () => {
    const info = await new Orb({ url: second.gateway }).job(job!).catch(() => undefined);
    return info?.job.state === 'paid';
  });
  return job!;
}

async function proveJob(job: string, name: string): Promise<void> {
  const file = join(network.folder, name);
  await network.ok('job', job, '--proof', file, '--gateway', second.gateway);
  proofs.push(file);
}

test('in the first epoch jobs are paid and final, and the second super node orders nothing', async () => {
  const job = await paidJob();
  await until('all blocks to be final', async () => {
    const finality = await network.orbClient.ledger.finality();
    return finality?.needed === 3 && finality.final === finality.head;
  });
  await proveJob(job, 'first.json');
  expect(await network.ok('ledger', 'orderer', '--gateway', second.gateway)).toMatchObject({ epoch: 1, ordering: false });
  const refused = await network.orb(['ledger', 'orderer', 'halt', '--account', 'ann', '--gateway', peerUrl('bea')]);
  expect(refused.stderr).toContain('obeys the account that it belongs to');
});

test('the orderer is killed under load; the peers sign, and the second super node orders: calls and settlements go on', async () => {
  let isLoading = true;
  const answers: number[] = [];
  const load = Promise.all(
    Array.from({ length: 4 }, async () => {
      // Connections are cut where the new orderer starts again: callers try again, and nothing is paid twice.
      while (isLoading)
        await second.call('add', { event: { a: 1, b: 2 } }).then(
          ({ status }) => answers.push(status),
          () => undefined,
        );
    }),
  );
  await until('some calls', async () => answers.length > 20);
  await network.superNode.end('SIGKILL');
  const file = join(network.folder, 'change.json');
  const proposed = await network.ok<{ change: { height: number } }>(
    'ledger',
    'orderer',
    'propose',
    file,
    '--to',
    second.gateway,
    '--gateway',
    second.gateway,
  );
  const early = await network.orb(['ledger', 'orderer', 'change', file, '--gateway', second.gateway]);
  expect(early.stderr).toMatch(/0 of 3 peers have signed; 3 must|votes/);
  const signing = [
    ['ann', peerUrl('ann')],
    ['bea', peerUrl('bea')],
    ['operator', second.gateway],
  ] as const;
  for (const [account, gateway] of signing) {
    await until(`${account} to sign`, async () => {
      const run = await network.orb(['ledger', 'orderer', 'sign', file, '--account', account, '--gateway', gateway]);
      if (run.code !== 0) expect(run.stderr).toMatch(/catch up|block/);
      return run.code === 0;
    });
  }
  const changed = await network.ok('ledger', 'orderer', 'change', file, '--gateway', second.gateway);
  expect(changed).toMatchObject({ epoch: 2, by: 'peers', signed: 3, of: 3, planned: false, height: proposed.change.height });
  isLoading = false;
  await load;
  const job = await paidJob();
  await proveJob(job, 'second.json');
  expect(answers.filter((status) => status === 200).length).toBeGreaterThan(20);
  await until('the peers to follow and co-sign, until all is final', async () => {
    const finality = await new Orb({ url: second.gateway }).ledger.finality().catch(() => undefined);
    return finality?.needed === 3 && finality.final === finality.head;
  });
  for (const name of ['ann', 'bea']) expect(await epochAt(peerUrl(name))).toBe(2);
});

test('the old orderer comes back: it is told, gives up what only it has signed, and follows', async () => {
  await network.startSuperNode();
  expect(network.gateway).toBe(firstGateway);
  await until('it to follow', async () => (await epochAt(firstGateway)) === 2 && (await head(firstGateway)).epoch === 2);
  // What is handed to it is ordered by the other.
  await network.ok('account', 'create', 'dora', '--role', 'developer', '--gateway', firstGateway);
  expect((await new Orb({ url: second.gateway }).accounts.show('dora')).name).toBe('dora');
  expect(await network.ok('ledger', 'orderer', 'show')).toMatchObject({ epoch: 2, ordering: false });
  // Its node has dialled in vain for a while, and links again in its own time.
  const { job } = await until('a call to be answered', async () => {
    const answer = await network.call('add', { event: { a: 2, b: 3 } });
    return answer.status === 200 && answer;
  });
  await network.job(job!);
});

test('the books balance, every copy is the same ledger, and the proofs of both epochs verify by command and SDK', async () => {
  await checkBooks(network);
  for (const url of [second.gateway, firstGateway, peerUrl('ann')]) await network.ok('ledger', 'verify', '--gateway', url);
  const [first, later] = await Promise.all(proofs.map(async (file) => JSON.parse(await readFile(file, 'utf8')) as { v: number }));
  expect([first!.v, later!.v]).toEqual([1, 2]);
  for (const file of proofs) {
    expect((await network.orb(['verify-proof', file, '--chain', network.links.chain])).stdout).toContain('The proof holds');
  }
  expect(checkJobProof(later, network.links.chain).epochs).toMatchObject([{ epoch: 1 }, { epoch: 2, by: 'peers', signed: 3 }]);
  const exported = join(network.folder, 'both.ndjson');
  const { height } = await network.ok<{ height: number }>('ledger', 'export', exported, '--gateway', firstGateway);
  expect(await network.ok('ledger', 'restore', exported, '--folder', join(network.folder, 'restored'))).toMatchObject({ height });
});

test('an orderer that will not stop: it obeys nobody but its owner; peers that halt make nothing more of it final, though it goes on', async () => {
  const strangers = await network.orb(['ledger', 'orderer', 'halt', '--account', 'ann', '--gateway', second.gateway]);
  expect([strangers.code === 0, strangers.stderr]).toEqual([false, expect.stringContaining('obeys the account that it belongs to')]);
  expect((await new Orb({ url: second.gateway }).ledger.orderer())?.halted).toBe(false);
  for (const name of ['ann', 'bea']) {
    const gateway = ['--gateway', peerUrl(name)];
    expect(await network.ok('ledger', 'orderer', 'halt', '--account', name, ...gateway)).toMatchObject({ halted: false, ordering: false });
  }
  const { left } = JSON.parse(await readFile(join(network.folder, 'peer-ann', 'cosigned.json'), 'utf8')) as { left: Json };
  expect(left).toMatchObject({ epoch: 3 });
  const before = (await new Orb({ url: second.gateway }).ledger.finality())!.final!;
  await paidJob();
  const after = (await new Orb({ url: second.gateway }).ledger.finality())!;
  expect(after.final).toBe(before);
  expect(after.head).toBeGreaterThan(before);
});

test('planned: the orderer stops first, and nothing is given up; a peer that is killed in between promises still', async () => {
  const halted = await network.ok('ledger', 'orderer', 'halt', '--account', 'operator', '--gateway', second.gateway);
  expect(halted).toMatchObject({ halted: true });
  const before = await head(second.gateway);
  const file = join(network.folder, 'back.json');
  const there = ['--gateway', second.gateway];
  await network.ok('ledger', 'orderer', 'propose', file, '--to', firstGateway, ...there);
  await until(
    'ann to sign',
    async () => (await network.orb(['ledger', 'orderer', 'sign', file, '--account', 'ann', '--gateway', peerUrl('ann')])).code === 0,
  );
  await peers.get('ann')!.process.end('SIGKILL');
  await startPeer('ann');
  const record = JSON.parse(await readFile(join(network.folder, 'peer-ann', 'cosigned.json'), 'utf8')) as { left: Json };
  expect(record.left).toMatchObject({ epoch: 3, height: before.height + 1 });
  for (const [account, gateway] of [
    ['bea', peerUrl('bea')],
    ['operator', second.gateway],
  ] as const) {
    await until(
      `${account} to sign`,
      async () => (await network.orb(['ledger', 'orderer', 'sign', file, '--account', account, '--gateway', gateway])).code === 0,
    );
  }
  const changed = await network.ok('ledger', 'orderer', 'change', file, ...there);
  expect(changed).toMatchObject({ epoch: 3, height: before.height + 1, signed: 3 });
  await until('the second super node to follow', async () => (await epochAt(second.gateway)) === 3);
  await paidJob();
  await until('all to be final', async () => {
    const finality = await network.orbClient.ledger.finality();
    return finality?.needed === 3 && finality.final === finality.head;
  });
  const shown = await network.orb(['ledger', 'orderer']);
  expect(shown.stdout).toMatch(/epoch 3 +from block \d+, by 3 of 3 peers/);
  expect((await readdir(join(second.folder, 'ledger'))).filter((name) => name.startsWith('dropped'))).toEqual([]);
  await checkBooks(network);
});
