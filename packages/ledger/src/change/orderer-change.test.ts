import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  accountId,
  blockHash,
  checkJobProof,
  cosignBytes,
  signBlock,
  signOrdererChange,
  signTransaction,
  stateKeys,
  transactionsRoot,
  type Block,
  type OrdererCertificate,
  type OrdererChange,
  type Signer,
  type Transaction,
} from '@orb/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { droppedPath, writeCut } from '../embedded/cut-back.ts';
import { openEmbeddedLedger } from '../embedded/embedded-ledger.ts';
import { readLog } from '../embedded/read-log.ts';
import type { LedgerEngine } from '../engine.ts';
import { openCosigner } from '../finality/cosign-record.ts';
import { openReplicaLedger } from '../replica/open-replica-ledger.ts';
import type { ReplicaLedger } from '../replica/replica-ledger.ts';
import { restoreLedger } from '../replica/restore-ledger.ts';
import { ledgerUpstream, type Upstream } from '../replica/upstream.ts';
import { checkSnapshot } from '../snapshot/check-snapshot.ts';
import { orderer, testGenesis, TestClock, TestNetwork, testSigner, treasury } from '../testing/network.ts';
import { verifyLedger } from '../verify.ts';
import { examineChange } from './examine-change.ts';
import { resubmitDropped } from './resubmit-dropped.ts';

const peers = ['ann', 'bea', 'cid', 'dan'].map(testSigner);
const [ann, bea, cid] = peers as [Signer, Signer, Signer, Signer];
const next = testSigner('next orderer');
const genesis = testGenesis({ peers: peers.map(({ publicKey }) => accountId(publicKey)) });
const closing: (() => Promise<void>)[] = [];
let root: string;
let clock: TestClock;
let old: LedgerEngine;
let net: TestNetwork;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'orb-orderer-'));
  clock = new TestClock();
  old = await order('old', orderer);
  net = new TestNetwork(old, clock);
  await Promise.all(['ann', 'bea', 'cid', 'dan'].map((name) => net.createAccount(name)));
});
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  await rm(root, { recursive: true, force: true });
});

async function order(folder: string, ordererKey: Signer, change?: OrdererCertificate, of = genesis): Promise<LedgerEngine> {
  const ledger = await openEmbeddedLedger({
    folder: join(root, folder),
    genesis: of,
    ordererKey,
    clock: clock.read,
    ...(change && { change }),
  });
  closing.push(() => ledger.close());
  return ledger;
}

async function follow(folder: string, upstream: Upstream): Promise<ReplicaLedger> {
  const replica = await openReplicaLedger({
    folder: join(root, folder),
    genesis,
    upstream,
    clock: clock.read,
    backOff: { firstMs: 1, mostMs: 10 },
  });
  closing.push(() => replica.close());
  return replica;
}

const reached = (ledger: Pick<LedgerEngine, 'follow'>, height: number) =>
  new Promise<void>((resolve) => {
    const following = ledger.follow(height, () => (following.stop(), resolve()));
  });

/** A change that begins after the last block of a ledger. */
async function certify(ledger: LedgerEngine, signers: readonly Signer[], change: Partial<OrdererChange> = {}): Promise<OrdererCertificate> {
  const stand = await ledger.stand();
  const { header } = stand;
  const what: OrdererChange = {
    v: 1,
    chain: ledger.chain,
    epoch: header.epoch + 1,
    height: header.height + 1,
    previous: blockHash(header),
    key: next.publicKey,
    gateway: 'https://next.test',
    ...change,
  };
  return { change: what, stand, votes: signers.map((signer) => ({ key: signer.publicKey, signature: signOrdererChange(what, signer) })) };
}

/** A copy of the old orderer's ledger, as it stands, that another orders from then on. */
async function takeOver(folder = 'new'): Promise<{ ledger: LedgerEngine; certificate: OrdererCertificate }> {
  const copy = await openReplicaLedger({ folder: join(root, folder), genesis, upstream: ledgerUpstream(old), clock: clock.read });
  await reached(copy, old.head.height);
  await copy.close();
  const certificate = await certify(old, [ann, bea, cid]);
  return { ledger: await order(folder, next, certificate), certificate };
}

/** A first block of a new epoch that somebody has made by himself. */
function forge(certificate: OrdererCertificate, signer: Signer): Block {
  const { change, stand } = certificate;
  const transactions = [signTransaction(stand.header.chain, 'orderer.change', certificate, []) as Transaction];
  const { epoch, height, previous } = change;
  const header = { ...stand.header, epoch, height, previous, count: 1, transactions: transactionsRoot(transactions) };
  return { header, transactions, signature: signBlock(header, signer) };
}

async function* only(...blocks: readonly unknown[]): AsyncGenerator<unknown> {
  yield* blocks;
}

describe('a new orderer', () => {
  test('begins where the peers say; verifying, restoring, opening again and following come to the same ledger', async () => {
    const { ledger, certificate } = await takeOver();
    expect(ledger.head).toMatchObject({ epoch: 2, height: certificate.change.height });
    const after = new TestNetwork(ledger, clock);
    await after.createAccount('eve');
    const { head } = ledger;
    expect(await verifyLedger(genesis, readLog(join(root, 'new')))).toMatchObject({ ok: true, head });
    expect(await restoreLedger({ folder: join(root, 'restored'), genesis, blocks: readLog(join(root, 'new')) })).toEqual(head);
    await closing.pop()!();
    // Once: a second start, with the same change, makes no second first block.
    expect((await order('new', next, certificate)).head).toEqual(head);
    await expect(order('restored', orderer)).rejects.toMatchObject({ code: 'forbidden', message: expect.stringContaining('epoch 2') });
  });

  test('is followed by a copy of the epoch before, whose head is the block before', async () => {
    const replica = await follow('copy', ledgerUpstream(old));
    await reached(replica, old.head.height);
    await replica.close();
    const { ledger } = await takeOver();
    const again = await follow('copy', ledgerUpstream(ledger));
    await reached(again, ledger.head.height);
    expect(again.head).toEqual(ledger.head);
  });

  test('by the treasury alone where no peers are listed, and it is said', async () => {
    const alone = testGenesis();
    const ledger = await order('alone', orderer, undefined, alone);
    const certificate = await certify(ledger, [treasury]);
    expect((await examineChange(ledger, [certificate]))?.checked).toMatchObject({ by: 'treasury', signed: 1, of: 1 });
    await expect(examineChange(ledger, [await certify(ledger, [orderer])])).rejects.toMatchObject({
      message: expect.stringContaining('treasury'),
    });
    await closing.pop()!();
    expect((await order('alone', next, certificate, alone)).head.epoch).toBe(2);
  });
});

describe('nobody begins an epoch', () => {
  test.each<[string, (ledger: LedgerEngine) => Promise<OrdererCertificate>, Signer]>([
    ['by his own word', (ledger) => certify(ledger, [next]), next],
    ['with two of four peers', (ledger) => certify(ledger, [ann, bea]), next],
    [
      'with one peer, however often',
      async (ledger) => ((one) => ({ ...one, votes: [one.votes[0]!, one.votes[0]!, one.votes[0]!] }))(await certify(ledger, [ann])),
      next,
    ],
    [
      'with the votes for another',
      async (ledger) =>
        ((one) => ({ ...one, change: { ...one.change, key: testSigner('eve').publicKey } }))(await certify(ledger, [ann, bea, cid])),
      testSigner('eve'),
    ],
    ['whom the peers did not name', (ledger) => certify(ledger, [ann, bea, cid]), testSigner('eve')],
  ])('%s: a copy refuses the block, blames nobody, and goes on', async (_, make, signer) => {
    const replica = await follow('copy', ledgerUpstream(old));
    await reached(replica, old.head.height);
    await replica.close();
    const forged = forge(await make(old), signer);
    const refused = Promise.withResolvers<{ proven: boolean }>();
    let lying = true;
    const upstream: Upstream = {
      ...ledgerUpstream(old),
      blocks: (from, signal) => (lying ? only(forged) : ledgerUpstream(old).blocks(from, signal)),
    };
    const copy = await openReplicaLedger({
      folder: join(root, 'copy'),
      genesis,
      upstream,
      clock: clock.read,
      backOff: { firstMs: 1, mostMs: 10 },
      onRefused: (evidence) => ((lying = false), refused.resolve(evidence)),
    });
    closing.push(() => copy.close());
    expect(await refused.promise).toMatchObject({ proven: false });
    await net.createAccount('fay');
    await reached(copy, old.head.height);
    expect(copy.head).toEqual(old.head);
  });

  test('a change that is handed to an orderer stands in none of his blocks', async () => {
    const certificate = await certify(old, [ann, bea, cid]);
    const transaction = signTransaction(old.chain, 'orderer.change', certificate, []) as Transaction;
    await expect(old.submit(transaction)).rejects.toMatchObject({ code: 'forbidden' });
    const { ledger } = await takeOver();
    await expect(
      ledger.submit(signTransaction(old.chain, 'orderer.change', await certify(ledger, [ann, bea, cid]), []) as Transaction),
    ).rejects.toMatchObject({
      code: 'forbidden',
    });
  });

  test('a snapshot with an orderer of its own is not begun with; one of the epoch is', async () => {
    const { ledger } = await takeOver();
    const { header, signature, entries } = await ledger.snapshot();
    const cosign = (one: typeof header) => peers.map((peer) => ({ key: peer.publicKey, signature: peer.sign(cosignBytes(one)) }));
    await checkSnapshot({ header, signature, cosignatures: cosign(header), entries }, genesis, { latestTime: Infinity });
    const record = entries.get(stateKeys.orderer(2)) as { key: string };
    const eve = testSigner('eve');
    const invented = new Map([...entries, [stateKeys.orderer(2), { ...record, key: eve.publicKey }]]);
    await expect(
      checkSnapshot(
        { header, signature: signBlock(header, eve), cosignatures: cosign(header), entries: invented as typeof entries },
        genesis,
        { latestTime: Infinity },
      ),
    ).rejects.toMatchObject({ code: 'bad-signature' });
    expect(() => checkJobProof({ v: 3 })).toThrow(
      expect.objectContaining({ code: 'not-supported', hint: expect.stringContaining('newer version') }),
    );
  });
});

describe('what the change leaves behind', () => {
  test('an orderer that goes on is followed by nobody who knows, and is no evidence against the new one', async () => {
    const { ledger } = await takeOver();
    await net.createAccount('late');
    const copy = await follow('new copy', ledgerUpstream(ledger));
    await reached(copy, ledger.head.height);
    const { header, signature } = (await old.block(old.head.height))!;
    expect(await copy.refusals.take({ v: 1, header, signature, reason: 'another' })).toBe(false);
    expect(copy.status.state).not.toBe('refused');
    await copy.close();
    const refused = Promise.withResolvers<{ proven: boolean; reason: string }>();
    const upstream: Upstream = { ...ledgerUpstream(ledger), blocks: () => only({ header, signature, transactions: [] }) };
    const shown = await openReplicaLedger({
      folder: join(root, 'new copy'),
      genesis,
      upstream,
      clock: clock.read,
      backOff: { firstMs: 1, mostMs: 10 },
      onRefused: (evidence) => refused.resolve(evidence),
    });
    closing.push(() => shown.close());
    expect(await refused.promise).toMatchObject({ proven: false, reason: expect.stringContaining('another orderer') });
  });

  test('a copy with blocks above it gives them up, once, also when it was cut short; their transactions are brought again', async () => {
    const { ledger, certificate } = await takeOver();
    await net.createAccount('gus');
    await net.createAccount('hal');
    const ahead = (await examineChange(old, [certificate]))!;
    expect(ahead.cut).toMatchObject({ height: certificate.change.height, epoch: 2 });
    await old.close();
    const folder = join(root, 'old');
    for (let round = 0; round < 2; round++) {
      await writeCut(folder, ahead.cut!);
      const copy = await follow('old', ledgerUpstream(ledger));
      await reached(copy, ledger.head.height);
      expect(copy.head).toEqual(ledger.head);
      if (round === 0) {
        expect((await readFile(droppedPath(folder, 2), 'utf8')).trim().split('\n')).toHaveLength(2);
        expect(await resubmitDropped(folder, copy, new AbortController().signal)).toBe(2);
      }
      await copy.close();
    }
    expect(await ledger.get('account-name/hal')).toBeDefined();
    expect(await readdir(folder)).not.toContain('cut.json');
    expect(await verifyLedger(genesis, readLog(folder))).toMatchObject({ ok: true });
  });

  test('a peer that has signed a change signs nothing of the epoch before above it, and no other change to it: also after a crash', async () => {
    const folder = join(root, 'old');
    const cosigner = await openCosigner(folder, ann, old);
    await cosigner.sign([old.head]);
    const { change } = await certify(old, []);
    expect(JSON.parse(await readFile(join(folder, 'cosigned.json'), 'utf8'))).toMatchObject({ v: 1 });
    await expect(cosigner.signChange({ ...change, height: old.head.height })).rejects.toMatchObject({ code: 'conflict' });
    await expect(cosigner.signChange({ ...change, previous: 'ab'.repeat(32) })).rejects.toMatchObject({ code: 'conflict' });
    const signature = await cosigner.signChange(change);
    await net.createAccount('ivy');
    for (const one of [cosigner, await openCosigner(folder, ann, old)]) {
      expect(await one.signChange(change)).toBe(signature);
      await expect(one.sign([old.head])).rejects.toMatchObject({ code: 'ledger-unavailable' });
      await expect(one.signChange({ ...change, key: testSigner('eve').publicKey })).rejects.toMatchObject({ code: 'conflict' });
    }
    // Given up, in favour of a later one.
    await (await openCosigner(folder, ann, old)).signChange((await certify(old, [], { epoch: 3 })).change);
  });
});
