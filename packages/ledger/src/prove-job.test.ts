import { accountId, checkJobProof, cosignBytes, jobId, type BlockHeader, type JobProof } from '@orb/protocol';
import { beforeEach, describe, expect, test } from 'vitest';
import { setStage, type Stage } from './conformance/stage.ts';
import { createMemoryLedger } from './memory/memory-ledger.ts';
import { proveJob } from './prove-job.ts';
import { testSigner } from './testing/network.ts';

let stage: Stage;
let proof: JobProof;

beforeEach(async () => {
  stage = await setStage(createMemoryLedger);
  const { net, superNode, node, job, ledger, id } = stage;
  const settlement = net.settle(superNode, [net.batch(superNode, node, [job(0), job(1), job(2, { maxCost: '1' })])]);
  await Promise.all([net.createAccount('carol'), settlement, net.createAccount('dave')]);
  proof = (await proveJob(ledger, id(1)))!;
});

/** The proof as it is after a trip through a file, changed on the way. */
function forged(change: (copy: { [K in keyof JobProof]: JobProof[K] } & Record<string, never>) => void): unknown {
  const copy = JSON.parse(JSON.stringify(proof));
  change(copy);
  return copy;
}

describe('a job’s proof', () => {
  test('is checked with nothing but itself, and tells which row the ledger took', () => {
    const checked = checkJobProof(JSON.parse(JSON.stringify(proof)), stage.ledger.chain);
    expect(checked).toMatchObject({
      job: stage.id(1),
      chain: stage.ledger.chain,
      rejection: undefined,
      cosigners: [],
      row: { receipt: expect.arrayContaining(['ok']), ticket: expect.arrayContaining([1]) },
      header: { height: stage.ledger.head.height },
    });
    expect(checked.genesis).toEqual(stage.ledger.genesis);
  });

  test('of a rejected row says so: standing in a block is not being paid', async () => {
    expect(await stage.ledger.job(stage.id(2))).toBeUndefined();
    expect(await proveJob(stage.ledger, stage.id(2))).toBeUndefined();
    const claimed = forged((copy) => Object.assign(copy, { job: stage.id(2) }));
    expect(checkJobProof(claimed).rejection).toMatchObject({ job: stage.id(2), code: 'cost-exceeded' });
  });

  test('names the peers that co-signed its block, and nobody who did not', () => {
    const peer = testSigner('peer');
    const cosign = (header: BlockHeader) => ({ key: peer.publicKey, signature: peer.sign(cosignBytes(header)) });
    const others = { ...proof.proof.header, state: 'ab'.repeat(32) };
    const wrong = { ...cosign(others), key: testSigner('other').publicKey };
    const cosignatures = [cosign(proof.proof.header), cosign(proof.proof.header), wrong];
    expect(checkJobProof({ ...proof, proof: { ...proof.proof, cosignatures } }).cosigners).toEqual([peer.publicKey]);
  });

  test('follows a job through its steps, and proves the last one that has a row', async () => {
    const { net, superNode, node, job, ledger, id } = stage;
    await net.settle(superNode, [net.batch(superNode, node, [job(5, {}, {}, { received: null })], 2)]);
    expect(checkJobProof(await proveJob(ledger, id(5))).row.acknowledgement![0]).toBe(null);
    await net.settle(superNode, [net.batch(superNode, node, [job(5)], 3)]);
    const checked = checkJobProof(await proveJob(ledger, id(5)));
    expect(checked).toMatchObject({ rejection: undefined, header: { height: ledger.head.height } });
    expect(checked.row.acknowledgement![0]).toBe(true);
  });
});

describe('a forged proof is refused', () => {
  // oxlint-disable-next-line typescript/no-explicit-any -- a forger writes anywhere in the copy
  const change = (name: string, at: (copy: any) => void, code = 'bad-signature') => [name, at, code] as const;
  test.each([
    change('another genesis', (copy) => (copy.genesis.name = 'other')),
    change('another orderer', (copy) => (copy.genesis.ordererKey = testSigner('eve').publicKey)),
    change('another time of its block', (copy) => (copy.proof.header.time += 1)),
    change('another state root', (copy) => (copy.proof.header.state = 'ab'.repeat(32))),
    change('another signature', (copy) => (copy.proof.signature = 'ab'.repeat(64))),
    change('another place', (copy) => (copy.proof.index = 1)),
    change('another path', (copy) => (copy.proof.path[0] = 'ab'.repeat(32))),
    change('no path', (copy) => (copy.proof.path = [])),
    change('another result hash in the row', (copy) => (copy.proof.transaction.body.batches[0].rows[1][1][7] = 'ab'.repeat(32))),
    change('a longer run in the row', (copy) => (copy.proof.transaction.body.batches[0].rows[1][1][1] += 1_000_000)),
    change('another signer of the transaction', (copy) => (copy.proof.transaction.signatures[0].key = testSigner('eve').publicKey)),
    change('rejections taken out', (copy) => (copy.results[copy.proof.index].rejections = [])),
    change('results of another place', (copy) => copy.results.reverse()),
    change('no results', (copy) => (copy.results = [])),
    change('a job that its transaction does not name', (copy) => (copy.job = jobId('ab'.repeat(16), 1))),
    change('a job that is none', (copy) => (copy.job = 'x'), 'invalid-request'),
    change('a field that nobody knows', (copy) => (copy.extra = 1), 'invalid-request'),
    change('another version', (copy) => (copy.v = 2), 'invalid-request'),
    change('a version that came later', (copy) => (copy.v = 3), 'not-supported'),
    change('an epoch that no change began', (copy) => (copy.proof.header.epoch = 2)),
    change('a transaction that is none', (copy) => (copy.proof.transaction = {}), 'invalid-request'),
  ])('%s', (_, at, code) => {
    expect(() => checkJobProof(forged(at as never))).toThrow(expect.objectContaining({ code }));
  });

  test('of another network than the one meant', () => {
    expect(() => checkJobProof(proof, accountId('ab'.repeat(32)))).toThrow(expect.objectContaining({ code: 'wrong-chain' }));
  });

  test('whose transaction names the job in two different rows of which one was rejected: it tells nothing', async () => {
    const { net, superNode, node, job, ledger, id } = stage;
    const rows = [job(7, { maxCost: '1' }), job(7)];
    const { rejections } = await net.settle(superNode, [net.batch(superNode, node, rows, 4)]);
    expect(rejections).toHaveLength(1);
    const doubtful = await proveJob(ledger, id(7));
    expect(() => checkJobProof(doubtful)).toThrow('names the job twice');
  });

  test('that is nothing at all, or far too much', () => {
    for (const value of [undefined, null, 1, 'x', [], {}, { ...proof, results: Array(10_001).fill(proof.results[0]) }]) {
      expect(() => checkJobProof(value)).toThrow(expect.objectContaining({ code: 'invalid-request' }));
    }
  });
});
