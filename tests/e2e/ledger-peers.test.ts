import { cp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { blockHash, type BlockHeader } from '@orb/protocol';
import { Orb, type LedgerFinality } from '@orb/sdk';
import { Network } from './network.ts';
import type { OrbProcess } from './orb-process.ts';
import { SecondSuperNode } from './second-super-node.ts';
import { until } from './until.ts';

interface Ready {
  readonly key: string;
  readonly chain: string;
  readonly height: number;
  readonly url: string | null;
}

let network: Network;
let ann: OrbProcess;
let annKey: string;
let annUrl: string;
let beaKey: string;

beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'] });
  for (const name of ['ann', 'bea']) await network.ok('account', 'create', name, '--role', 'peer');
});
afterAll(() => network?.stop());

const peerFolder = (name: string) => join(network.folder, `peer-${name}`);

async function startPeer(name: string, ...flags: readonly string[]): Promise<{ peer: OrbProcess; ready: Ready }> {
  const peer = network.spawn(`peer ${name}`, ['ledger', 'peer', 'start', '--folder', peerFolder(name), ...flags, '--json']);
  return { peer, ready: (await peer.ready()) as unknown as Ready };
}

/** Accounts vote for who are the peers from then on. */
async function votePeers(peers: string, ...voters: readonly string[]): Promise<void> {
  for (const voter of voters) await network.ok('ledger', 'vote', '--peers', peers, '--account', voter);
}

async function head(url = network.gateway): Promise<BlockHeader> {
  return (await new Orb({ url }).network()).head;
}

/** Resolves with the finality once it is as asked for. */
function finality(what: string, isSo: (finality: LedgerFinality) => boolean): Promise<LedgerFinality> {
  return until(what, async () => {
    const found = await network.orbClient.ledger.finality().catch(() => undefined);
    return found && isSo(found) && found;
  });
}

test('a peer on a network that nobody vouched for is refused with the chain to compare', async () => {
  const run = await network.orb(['ledger', 'peer', 'start', '--folder', peerFolder('ann')], { home: join(network.folder, 'stranger') });
  expect(run).toMatchObject({ code: expect.any(Number), stderr: expect.stringContaining(`--chain ${network.links.chain}`) });
  expect(run.code).not.toBe(0);
});

test('a peer copies the whole ledger, runs it again, and serves reads and proofs that verify', async () => {
  const started = await startPeer('ann', '--account', 'ann', '--chain', network.links.chain, '--listen', '127.0.0.1:0');
  ann = started.peer;
  annKey = started.ready.key;
  annUrl = started.ready.url!;
  const { height } = await head();
  await until('the peer to catch up', async () => (await head(annUrl)).height >= height);
  const verified = await network.ok<{ height: number }>('ledger', 'verify', '--gateway', annUrl);
  expect(verified.height).toBeGreaterThanOrEqual(height);
});

test('what is handed to a peer is ordered by the super node and comes back to the peer', async () => {
  const made = await network.orb(['account', 'create', 'carol', '--role', 'developer', '--gateway', annUrl]);
  expect(made).toMatchObject({ code: 0 });
  expect((await new Orb({ url: annUrl }).accounts.show('carol')).name).toBe('carol');
  expect((await network.orbClient.accounts.show('carol')).name).toBe('carol');
});

test('a peer without an account has a key of its own, whose co-signatures count for nobody', async () => {
  const { peer } = await startPeer('guest', '--chain', network.links.chain);
  expect((await stat(join(peerFolder('guest'), 'peer.key.json'))).mode & 0o777).toBe(0o600);
  await peer.said(/is not that of a peer of this ledger/);
  await peer.end('SIGTERM');
});

test('without listed peers a ledger is orderer-only and says so', async () => {
  expect((await network.orb(['ledger', 'show'])).stdout).toContain('orderer-only');
  expect(await network.ok('ledger', 'peers')).toMatchObject({ source: 'none', final: null, peers: [] });
});

test('peers that the ledger lists co-sign what is there and what comes; two of two make it final', async () => {
  const bea = await startPeer('bea', '--account', 'bea', '--chain', network.links.chain);
  beaKey = bea.ready.key;
  const refused = await network.orb(['ledger', 'vote', '--peers', 'ann,bea', '--account', 'ann']);
  expect(refused).toMatchObject({ code: expect.any(Number), stderr: expect.stringContaining('not one of the peers that decide') });
  expect(await network.ok('ledger', 'vote', '--peers', 'ann,bea', '--treasury', network.superNodeFolder)).toMatchObject({ decided: true });
  expect((await network.orb(['ledger', 'parameters'])).stdout).toMatch(/decided by +ann, bea \(2 of 2\)/);
  const { final } = await finality('all blocks to be final', ({ final: to, head: of }) => to === of);
  expect(final).toBeGreaterThan(0);
  const { ledger } = await network.get<{ ledger: { finality: unknown } }>('/v1/status');
  expect(ledger.finality).toMatchObject({
    final,
    needed: 2,
    peers: [
      { account: 'ann', height: final },
      { account: 'bea', height: final },
    ],
  });
  await bea.peer.end('SIGKILL');
  await network.ok('account', 'create', 'dave', '--role', 'developer');
  const lagging = await finality('ann to be ahead of bea', ({ peers }) => (peers[0]!.height ?? 0) > (peers[1]!.height ?? 0));
  expect(lagging).toMatchObject({ source: 'ledger', needed: 2 });
  expect(lagging.final).toBeLessThan(lagging.head);
  expect((await network.orb(['ledger', 'peers'])).stdout).toMatch(/final +final \(2 of 2\) up to block \d+, \d+ to come/);
  await startPeer('bea', '--account', 'bea');
  await finality('bea to catch up after kill -9', ({ final: to, head: of }) => to === of);
});

test('a peer that joins begins with what the others have co-signed, and then has the blocks before it run again', async () => {
  const { peer, ready } = await startPeer(
    'cid',
    '--chain',
    network.links.chain,
    '--listen',
    '127.0.0.1:0',
    '--begin',
    'snapshot',
    '--trust',
    annKey,
    '--trust',
    beaKey,
  );
  expect(ready.height).toBeGreaterThan(3);
  await peer.said(/The blocks before the snapshot are here, run again, and have led to it/);
  await network.ok('account', 'create', 'later', '--role', 'developer');
  await until('the peer to take what came since', async () => (await head(ready.url!)).height === (await head()).height);
  expect(await network.ok('ledger', 'verify', '--gateway', ready.url!)).toMatchObject({ height: (await head()).height });
  await peer.end('SIGTERM');
  const file = join(network.folder, 'joined.ndjson');
  expect(await network.ok('ledger', 'export', file, '--folder', peerFolder('cid'))).toMatchObject({ chain: network.links.chain });
  const refused = await network.orb([
    'ledger',
    'peer',
    'start',
    '--folder',
    peerFolder('doubter'),
    '--chain',
    network.links.chain,
    '--begin',
    'snapshot',
    '--trust',
    'ab'.repeat(32),
  ]);
  expect(refused).toMatchObject({ code: expect.any(Number), stderr: expect.stringContaining('0 of the 1 keys that you trust') });
  expect(refused.code).not.toBe(0);
});

test('killed under load again and again, a peer never signs two blocks of one height, and its copy is the ledger', async () => {
  for (let round = 0; round < 3; round++) {
    const busy = ['x', 'y', 'z'].map((name) => network.ok('account', 'create', `user-${name}${round}`, '--role', 'developer'));
    await ann.end('SIGKILL');
    await Promise.all(busy);
    ({ peer: ann } = await startPeer('ann', '--account', 'ann', '--listen', new URL(annUrl).host));
  }
  const { head: height } = await finality('all blocks to be final', ({ final: to, head: of }) => to === of);
  const record = JSON.parse(await readFile(join(peerFolder('ann'), 'cosigned.json'), 'utf8')) as { height: number; hash: string };
  const block = await network.orbClient.ledger.block(record.height);
  expect(record.hash).toBe(blockHash(block!.header));
  expect(record.height).toBeGreaterThanOrEqual(height);
});

test('a job’s proof is checked without the network, counts trusted peers, and a changed one is refused', async () => {
  await network.deploy('greet', `export default (input: { name: string }) => ({ hello: input.name });`, ['--budget', '5']);
  const { job: id } = await network.call('greet', { event: { name: 'Orb' } });
  await network.job(id);
  await finality('the job to be final', ({ final, head: of }) => final === of);
  const file = join(network.folder, 'job.proof.json');
  await network.ok('job', id, '--proof', file);
  await network.superNode.end('SIGTERM');
  const verify = (...flags: readonly string[]) => network.orb(['verify-proof', file, ...flags]);
  expect(await verify()).toMatchObject({ code: 0, stdout: expect.stringContaining('The proof holds') });
  const trusted = await verify('--chain', network.links.chain, '--peer', annKey, '--peer', beaKey);
  expect(trusted).toMatchObject({ code: 0, stdout: expect.stringContaining('final (2 of 2 peers that you trust)') });
  expect((await verify('--peer', annKey, '--peer', 'ab'.repeat(32))).stdout).toContain('not final: 1 of 2');
  expect(await verify('--chain', 'ab'.repeat(32))).toMatchObject({
    code: expect.any(Number),
    stderr: expect.stringContaining('not of the one meant'),
  });

  const text = await readFile(file, 'utf8');
  const proof = JSON.parse(text);
  proof.proof.transaction.body.batches[0].rows[0][1][1] += 1_000;
  await writeFile(file, JSON.stringify(proof));
  const changed = await verify();
  expect(changed.code).not.toBe(0);
  expect(changed.stderr).toContain('does not hold');
  await network.startSuperNode();
});

test('a back-up is made while everything runs, and restored to the same ledger; a damaged one is refused at its place', async () => {
  const file = join(network.folder, 'ledger.ndjson');
  // The money of the last job moves on by itself for a moment: a file holds what was there when it was made.
  const { height, hash } = await network.ok<{ height: number; hash: string }>('ledger', 'export', file);
  const folder = join(network.folder, 'restored');
  const restored = await network.ok('ledger', 'restore', file, '--folder', folder, '--chain', network.links.chain);
  expect(restored).toMatchObject({ height, hash });
  const again = join(network.folder, 'again.ndjson');
  expect(await network.ok('ledger', 'export', again, '--folder', folder)).toMatchObject({ height, hash });
  expect(await readFile(again, 'utf8')).toBe(await readFile(file, 'utf8'));

  const lines = (await readFile(file, 'utf8')).split('\n');
  const block = JSON.parse(lines[5]!);
  block.header.time += 1;
  await writeFile(file, [...lines.slice(0, 5), JSON.stringify(block), ...lines.slice(6)].join('\n'));
  const run = await network.orb(['ledger', 'restore', file, '--folder', join(network.folder, 'damaged')]);
  expect(run.code).not.toBe(0);
  expect(run.stderr).toContain('Block 4 is refused');
});

test('a second super node co-signs with its own key, once its owner is listed, and serves the finality and proofs of the first', async () => {
  const second = await SecondSuperNode.join(network);
  await votePeers('ann,bea,operator', 'ann');
  expect((await network.orb(['ledger', 'parameters'])).stdout).toMatch(/voted for +ann \(2 needed\)\n +peers: /);
  await votePeers('ann,bea,operator', 'bea');
  const { final } = await finality('all three to have signed all', ({ needed, final: to, head: of }) => needed === 3 && to === of);
  expect((await new Orb({ url: second.gateway }).ledger.finality())!.final).toBeGreaterThanOrEqual(final!);
  await second.process.end('SIGTERM');
  await votePeers('ann,bea', 'ann', 'bea', 'operator');
});

test('an orderer that goes on from an older back-up is found out by its peers: refused, kept as evidence, and final no more', async () => {
  const ledger = join(network.superNodeFolder, 'ledger');
  const older = join(network.folder, 'older');
  await network.superNode.end('SIGTERM');
  await cp(ledger, older, { recursive: true });
  await network.startSuperNode();
  await network.ok('account', 'create', 'honest', '--role', 'developer');
  const { final } = await finality('the block to be final', ({ final: to, head: of }) => to === of);
  await network.superNode.end('SIGTERM');
  await rm(ledger, { recursive: true });
  await cp(older, ledger, { recursive: true });
  await network.startSuperNode();
  await network.ok('account', 'create', 'forked', '--role', 'developer');
  await ann.said(/is refused: (the orderer has signed two blocks of this height|it follows another block)/);
  const [evidence] = await readdir(join(peerFolder('ann'), 'evidence'));
  expect(JSON.parse(await readFile(join(peerFolder('ann'), 'evidence', evidence!), 'utf8'))).toMatchObject({
    proven: true,
    chain: network.links.chain,
  });
  expect((await new Orb({ url: annUrl }).accounts.show('honest')).name).toBe('honest');
  await expect(new Orb({ url: annUrl }).accounts.show('forked')).rejects.toMatchObject({ code: 'unknown-account' });
  expect((await network.orbClient.ledger.finality())!.final ?? -1).toBeLessThan(final!);
  // Also after a restart of the peer, which tells a peer that has seen nothing of it: that one follows this one.
  const { peer: far, ready } = await startPeer('far', '--gateway', annUrl, '--chain', network.links.chain, '--listen', '127.0.0.1:0');
  await until('the far peer to catch up', async () => (await head(ready.url!)).height >= (await head(annUrl)).height);
  await ann.end('SIGTERM');
  ({ peer: ann } = await startPeer('ann', '--account', 'ann', '--listen', new URL(annUrl).host, '--other', ready.url!));
  await far.said(/is refused: (the orderer has signed two blocks of this height|it follows another block)/);
  const { refusals } = await network.ok<{ refusals: object[] }>('ledger', 'peers', '--gateway', ready.url!);
  expect(refusals).toHaveLength(1);
  const refused = await network.orb(['account', 'create', 'another', '--role', 'developer', '--gateway', annUrl]);
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain('is refused');
});
