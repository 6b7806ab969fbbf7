import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { keyOf, sampleGenesis, sampleIds, sampleTime } from '../vectors/sample.ts';
import { sampleTransactions } from '../vectors/sample-transactions.ts';
import {
  blockHash,
  chainId,
  checkBlock,
  checkInclusion,
  genesisSchema,
  parseBlock,
  resultsHash,
  signBlock,
  transactionsRoot,
  type Block,
  type BlockHeader,
} from './block.ts';
import { parametersSchema } from './parameters.ts';

const vectors = JSON.parse(readFileSync(new URL('../vectors/chain.json', import.meta.url), 'utf8'));
const { chain } = sampleIds;
const orderer = keyOf('orderer');

function makeBlock(change: Partial<BlockHeader>, transactions = sampleTransactions().slice(0, 3)): Block {
  const header: BlockHeader = {
    v: 1,
    chain,
    epoch: 1,
    height: 0,
    time: sampleTime,
    previous: chain,
    count: transactions.length,
    transactions: transactionsRoot(transactions),
    results: resultsHash([]),
    state: chain,
    ...change,
  };
  return { header, transactions, signature: signBlock(header, orderer) };
}

const first = makeBlock({}, []);
const second = makeBlock({ height: 1, previous: blockHash(first.header), time: sampleTime + 1 });

describe('blocks', () => {
  test('a chain of right blocks passes', () => {
    expect(() => checkBlock(first, undefined, chain, orderer.publicKey)).not.toThrow();
    expect(() => checkBlock(second, first.header, chain, orderer.publicKey)).not.toThrow();
    expect(() => checkBlock(parseBlock(JSON.parse(JSON.stringify(second))), first.header, chain, orderer.publicKey)).not.toThrow();
  });

  test('each wrong thing about a block is named', () => {
    const right = second.header;
    const wrong: [string, Block][] = [
      ['it belongs to another chain', makeBlock({ ...right, chain: '0'.repeat(64) })],
      ['its epoch', makeBlock({ ...right, epoch: 3 })],
      ['its height is not the next one', makeBlock({ ...right, height: 2 })],
      ['it does not follow', makeBlock({ ...right, previous: chain })],
      ['its time is before', makeBlock({ ...right, time: sampleTime - 1 })],
      ['its transaction count', makeBlock({ ...right, count: 2 })],
      ['its transactions do not match', makeBlock({ ...right, transactions: chain })],
      ['its transactions do not match', { ...second, transactions: second.transactions.toReversed() }],
      ['its transactions do not match', { ...second, transactions: second.transactions.map((one) => ({ ...one, signatures: [] })) }],
      ['the orderer did not sign it', { ...second, signature: first.signature }],
      ['the orderer did not sign it', { ...second, header: { ...right, state: '0'.repeat(64) } }],
    ];
    for (const [message, block] of wrong) {
      expect(() => checkBlock(block, first.header, chain, orderer.publicKey), message).toThrow(
        expect.objectContaining({ code: 'ledger-corrupt', message: expect.stringContaining(message) }),
      );
    }
    expect(() => checkBlock(second, first.header, chain, keyOf('other').publicKey)).toThrow('the orderer did not sign it');
    expect(() => checkBlock(makeBlock({ epoch: 2 }, []), undefined, chain, orderer.publicKey)).toThrow('its epoch');
  });

  test('blocks of any other shape are refused before anything of them is used', () => {
    const good = JSON.parse(JSON.stringify(second));
    const bad = [
      null,
      {},
      { ...good, extra: 1 },
      { ...good, header: { ...good.header, extra: 1 } },
      { ...good, transactions: [{}] },
      { ...good, header: { ...good.header, height: -1 } },
      { ...good, transactions: Array(10_001).fill(0) },
    ];
    for (const block of bad) expect(() => parseBlock(block)).toThrow(expect.objectContaining({ code: 'invalid-request' }));
  });
});

describe('inclusion proofs', () => {
  test('hold and are refused as the vectors say', () => {
    expect(checkInclusion(vectors.proof, chain, orderer.publicKey).transaction.kind).toBe('transfer');
    for (const { name, proof, code } of vectors.refused)
      expect(() => checkInclusion(proof, chain, orderer.publicKey), name).toThrow(expect.objectContaining({ code }));
  });

  test('of another chain or orderer, or of nothing readable, are refused', () => {
    expect(() => checkInclusion(vectors.proof, '0'.repeat(64), orderer.publicKey)).toThrow(
      expect.objectContaining({ code: 'bad-signature' }),
    );
    expect(() => checkInclusion(vectors.proof, chain, keyOf('other').publicKey)).toThrow(
      expect.objectContaining({ code: 'bad-signature' }),
    );
    const deep = JSON.parse(`${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`);
    for (const value of [
      undefined,
      null,
      {},
      { ...vectors.proof, transaction: deep },
      { ...vectors.proof, path: ['x'] },
      { ...vectors.proof, index: 2 ** 53 },
    ]) {
      expect(() => checkInclusion(value, chain, orderer.publicKey)).toThrow(expect.objectContaining({ code: 'invalid-request' }));
    }
  });
});

describe('genesis', () => {
  test('every field is part of the chain id', () => {
    expect(chainId(sampleGenesis)).toBe(vectors.chain);
    const changes = [
      { name: 'other' },
      { network: 'main' as const },
      { time: 1 },
      { salt: '0'.repeat(64) },
      { treasuryKey: '0'.repeat(64) },
      { ordererKey: '0'.repeat(64) },
      { parameters: { ...sampleGenesis.parameters, graceMs: 1_000 } },
    ];
    expect(new Set(changes.map((change) => chainId({ ...sampleGenesis, ...change }))).size).toBe(changes.length);
  });

  test('unknown fields and parameters out of bounds are refused', () => {
    expect(genesisSchema.safeParse(sampleGenesis).success).toBe(true);
    expect(genesisSchema.safeParse({ ...sampleGenesis, x: 1 }).success).toBe(false);
    const { parameters } = sampleGenesis;
    for (const change of [
      { version: 0 },
      { minBond: '-1' },
      { minBond: 1 },
      { split: { ...parameters.split, relayBps: 5_001 } },
      { graceMs: 0 },
      { faucetGrant: '01' },
    ]) {
      expect(parametersSchema.safeParse({ ...parameters, ...change }).success).toBe(false);
    }
  });
});
