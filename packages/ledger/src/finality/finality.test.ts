import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accountId, blockHash, cosignBytes, finalityOf, quorumOf, isOrbError, verify, type OrbError, type Signer } from '@orb/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LedgerEngine } from '../engine.ts';
import { createMemoryLedger } from '../memory/memory-ledger.ts';
import { orderer, testGenesis, TestClock, TestNetwork, testSigner } from '../testing/network.ts';
import { CosignatureBook, type CosignaturesMessage } from './cosignature-book.ts';
import { openCosigner } from './cosign-record.ts';
import { startCosigning, type CosignatureSink } from './cosigning.ts';
import { readPeerSet } from './peer-set.ts';

const names = ['ann', 'bea', 'cid', 'dan'];
const peers = names.map(testSigner);
const [ann, bea, cid] = peers as [Signer, Signer, Signer, Signer];
const keys = peers.map(({ publicKey }) => publicKey);
const genesis = testGenesis({ peers: keys.map(accountId) });
let folder: string;
let clock: TestClock;
let ledger: LedgerEngine;
let net: TestNetwork;
let book: CosignatureBook;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orb-finality-'));
  clock = new TestClock();
  ledger = await openLedger();
  net = new TestNetwork(ledger, clock);
  // One block: the first.
  await Promise.all(names.map((name) => net.createAccount(name)));
  book = await CosignatureBook.open({ folder: join(folder, 'book'), ledger });
});
afterEach(async () => {
  await book.close();
  await ledger.close();
  await rm(folder, { recursive: true, force: true });
});

const openLedger = (of = genesis) => createMemoryLedger({ genesis: of, ordererKey: orderer, clock: clock.read });

/** A message of one peer over the block of a height. */
async function cosigned(signer: Signer, height: number, change: object = {}): Promise<CosignaturesMessage> {
  const { header } = (await ledger.block(height))!;
  const one = { height, hash: blockHash(header), signature: signer.sign(cosignBytes(header)), ...change };
  return { v: 1, key: signer.publicKey, cosignatures: [one] };
}

const bookSink = (): CosignatureSink => ({
  heightOf: (key) => book.heightOf(key),
  send: async (message) => void (await book.add(message)),
});

describe('finality', () => {
  test('more than two thirds of the peers make a block final, with all blocks before it', async () => {
    await net.createAccount('eve');
    await net.createAccount('fay');
    expect(await book.status()).toMatchObject({ source: 'ledger', needed: 3, final: null, head: 3 });
    await book.add(await cosigned(ann, 3));
    await book.add(await cosigned(bea, 3));
    expect(await book.status()).toMatchObject({ final: null });
    await book.add(await cosigned(cid, 2));
    expect(await book.status()).toMatchObject({
      final: 2,
      peers: [{ height: 3 }, { height: 3 }, { height: 2 }, { height: null, heardMs: null }],
    });
    await book.add(await cosigned(cid, 3));
    expect(await book.status()).toMatchObject({ final: 3 });
    expect([1, 2, 3, 4, 6, 7, 10].map(quorumOf)).toEqual([1, 2, 3, 3, 5, 5, 7]);
  });

  test('co-signatures are there again after a restart, and go into proofs that readers can count', async () => {
    await net.createAccount('eve');
    for (const peer of [ann, bea, cid]) await book.add(await cosigned(peer, 2));
    await book.close();
    book = await CosignatureBook.open({ folder: join(folder, 'book'), ledger });
    expect(await book.status()).toMatchObject({ final: 2 });
    const cosignatures = await book.of(2);
    const { header } = (await ledger.block(2))!;
    expect(finalityOf(header, cosignatures, keys)).toEqual({ final: true, signed: 3, of: 4 });
    expect(finalityOf(header, [...cosignatures, ...cosignatures], [ann.publicKey, testSigner('x').publicKey])).toEqual({
      final: false,
      signed: 1,
      of: 2,
    });
    expect(finalityOf({ ...header, time: 1 }, cosignatures, keys)).toMatchObject({ final: false, signed: 0 });
    expect(finalityOf(header, cosignatures, [])).toEqual({ final: false, signed: 0, of: 0 });
  });

  test('co-signatures of blocks that this ledger no longer has, brought back from a back-up, count for nothing', async () => {
    await net.createAccount('eve');
    for (const peer of [ann, bea, cid]) await book.add(await cosigned(peer, 2));
    await book.close();
    const older = await openLedger();
    book = await CosignatureBook.open({ folder: join(folder, 'book'), ledger: older });
    expect(await book.status()).toMatchObject({ final: null });
    const olderNet = new TestNetwork(older, clock);
    await Promise.all(names.map((name) => olderNet.createAccount(name)));
    await olderNet.createAccount('fay');
    expect(await book.status()).toMatchObject({ final: null, head: 2 });
    expect(await book.of(2)).toEqual([]);
    await older.close();
  });

  test('without peers nothing is final, and nobody can co-sign', async () => {
    const unlisted = await openLedger(testGenesis());
    const alone = await CosignatureBook.open({ folder: join(folder, 'alone'), ledger: unlisted });
    expect(await alone.status()).toMatchObject({ source: 'none', final: null, peers: [] });
    await expect(alone.add(await cosigned(ann, 0))).rejects.toMatchObject({ code: 'forbidden' });
    await alone.close();
    await unlisted.close();
  });

  test.each([
    ['by a stranger', (): unknown => cosigned(testSigner('eve'), 2), 'forbidden'],
    ['with another’s signature', () => cosigned(ann, 2, { signature: bea.sign(new Uint8Array(3)) }), 'bad-signature'],
    [
      'of another height’s block',
      async () => cosigned(ann, 2, { signature: (await cosigned(ann, 1)).cosignatures[0]!.signature }),
      'bad-signature',
    ],
    ['of a block that is another here', () => cosigned(ann, 2, { hash: 'ab'.repeat(32) }), 'conflict'],
    ['of a block that is not here yet', async () => cosigned(ann, 2, { height: 7 }), 'not-found'],
    ['of nothing', () => ({ v: 1, key: ann.publicKey, cosignatures: [] }), 'invalid-request'],
    [
      'of too much',
      async () => ({ v: 1, key: ann.publicKey, cosignatures: Array(201).fill((await cosigned(ann, 2)).cosignatures[0]) }),
      'invalid-request',
    ],
    ['with a field that nobody knows', async () => ({ ...(await cosigned(ann, 2)), extra: 1 }), 'invalid-request'],
  ])('a co-signature %s is refused and counts for nothing', async (_, make, code) => {
    await net.createAccount('eve');
    await expect(book.add(await make())).rejects.toMatchObject({ code });
    expect((await book.status()).peers.map(({ height }) => height)).toEqual([null, null, null, null]);
    expect(await book.of(2)).toEqual([]);
  });

  test('an account counts once, whichever of its keys signs: its own of now, or that of a super node of it', async () => {
    await net.mint(ann, 1_000n);
    const key = await net.registerSuperNode(ann, 'super');
    const set = await readPeerSet(ledger);
    expect(set).toMatchObject({ source: 'ledger', needed: 3 });
    expect(set.peers[0]).toEqual({ id: accountId(ann.publicKey), keys: [ann.publicKey, key.publicKey] });
    await book.add(await cosigned(key, 2));
    await book.add(await cosigned(ann, 2));
    await book.add(await cosigned(bea, 2));
    expect(await book.status()).toMatchObject({ final: null, peers: [{ height: 2 }, { height: 2 }, { height: null }, { height: null }] });
    expect(await book.of(2)).toHaveLength(3);
    await book.add(await cosigned(cid, 2));
    expect(await book.status()).toMatchObject({ final: 2 });
  });

  test('a listed account that is not there yet still counts for the quorum', async () => {
    const empty = await openLedger();
    expect(await readPeerSet(empty)).toMatchObject({ needed: 3, peers: [{ keys: [] }, { keys: [] }, { keys: [] }, { keys: [] }] });
    await empty.close();
  });
});

describe('a peer that co-signs', () => {
  test('signs every block of its copy, old and new, and starts again where it has come to', async () => {
    await net.createAccount('eve');
    const cosigner = await openCosigner(folder, ann, ledger);
    const reached = (height: number) =>
      new Promise<void>((resolve) => {
        const sink = bookSink();
        cosigning = startCosigning({
          ledger,
          cosigner,
          sink: {
            ...sink,
            send: async (message, signal) => (
              await sink.send(message, signal),
              message.cosignatures.at(-1)!.height >= height ? resolve() : undefined
            ),
          },
        });
      });
    let cosigning: ReturnType<typeof startCosigning> | undefined;
    await reached(2);
    await cosigning!.stop();
    const later = reached(4);
    await net.createAccount('fay');
    await net.createAccount('gus');
    await later;
    await cosigning!.stop();
    for (let height = 0; height <= 4; height++) expect(await book.of(height)).toHaveLength(1);
  });

  test('tries again when nobody takes its signatures, and sends each of them then', async () => {
    const troubles: OrbError[] = [];
    let failures = 3;
    const done = Promise.withResolvers<void>();
    const cosigner = await openCosigner(folder, ann, ledger);
    const cosigning = startCosigning({
      ledger,
      cosigner,
      backOff: { firstMs: 1, mostMs: 2 },
      onTrouble: (error) => troubles.push(error),
      sink: {
        heightOf: (key) => book.heightOf(key),
        send: async (message) => {
          if (failures-- > 0) throw new Error('ECONNREFUSED');
          await book.add(message);
          done.resolve();
        },
      },
    });
    await done.promise;
    await cosigning.stop();
    expect(troubles).toHaveLength(3);
    expect(troubles.every(isOrbError)).toBe(true);
    expect(await book.heightOf(ann.publicKey)).toBe(1);
  });

  test('has what it signs on the disk before the signature leaves', async () => {
    await net.createAccount('eve');
    const cosigner = await openCosigner(folder, ann, ledger);
    const message = await cosigner.sign([ledger.head]);
    expect(JSON.parse(await readFile(join(folder, 'cosigned.json'), 'utf8'))).toMatchObject({
      height: 2,
      hash: message.cosignatures[0]!.hash,
    });
    expect(verify(ann.publicKey, cosignBytes(ledger.head), message.cosignatures[0]!.signature)).toBe(true);
  });

  test('never signs two blocks of one height, though a crash lies between signing and sending, and its copy was lost', async () => {
    await net.createAccount('eve');
    await net.createAccount('fay');
    await (await openCosigner(folder, ann, ledger)).sign([(await ledger.block(2))!.header, ledger.head]);
    // It crashed before anything was sent; the copy is gone, and the orderer now shows another ledger.
    const other = await openLedger();
    const cosigner = await openCosigner(folder, ann, other);
    const otherNet = new TestNetwork(other, clock);
    await Promise.all(names.map((name) => otherNet.createAccount(name)));
    await expect(cosigner.sign([other.head])).rejects.toMatchObject({
      code: 'ledger-unavailable',
      message: expect.stringContaining('catch up'),
    });
    await otherNet.createAccount('gus');
    await expect(cosigner.sign([other.head])).rejects.toMatchObject({ code: 'ledger-unavailable' });
    await otherNet.createAccount('hal');
    await expect(cosigner.sign([other.head])).rejects.toMatchObject({
      code: 'ledger-corrupt',
      message: expect.stringContaining('another block 3'),
    });
    await otherNet.createAccount('ida');
    await expect(cosigner.sign([other.head])).rejects.toMatchObject({ code: 'ledger-corrupt' });
    await other.close();
  });

  test('gives the same signature again for the same block, and those before it, once its copy has caught up', async () => {
    await net.createAccount('eve');
    const headers = [(await ledger.block(0))!.header, ledger.head];
    const before = await (await openCosigner(folder, ann, ledger)).sign(headers);
    expect(await (await openCosigner(folder, ann, ledger)).sign(headers)).toEqual(before);
  });

  test('does not start on a damaged memory, nor on that of another key', async () => {
    await (await openCosigner(folder, ann, ledger)).sign([ledger.head]);
    await expect(openCosigner(folder, bea, ledger)).rejects.toMatchObject({ code: 'forbidden' });
    await writeFile(join(folder, 'cosigned.json'), '{"v":1');
    await expect(openCosigner(folder, ann, ledger)).rejects.toMatchObject({ code: 'ledger-corrupt' });
  });
});
