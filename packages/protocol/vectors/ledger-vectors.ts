import {
  blockHash,
  chainId,
  checkInclusion,
  cosignBytes,
  labels,
  merklePath,
  parseTransaction,
  resultsHash,
  signBlock,
  statement,
  transactionId,
  transactionLeaf,
  transactionsRoot,
  type BlockHeader,
  type Json,
} from '../src/index.ts';
import { refusalOf } from './format-vectors.ts';
import { keyOf, sampleGenesis, sampleIds, sampleManifest, sampleTime, vectorHash } from './sample.ts';
import { sampleSettlementOfVersion2, sampleTransaction, sampleTransactions } from './sample-transactions.ts';

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

export function transactionVectors(): Json {
  const transfer = sampleTransaction('transfer') as unknown as Record<string, Json> & { body: Record<string, Json> };
  const create = sampleTransaction('function.create') as unknown as { body: Record<string, Json> };
  const settle = sampleTransaction('job.settle') as unknown as { body: Record<string, Json> };
  const { signatures } = sampleTransaction('node.register');
  const { retries: _retries, ...incomplete } = sampleManifest;
  const refused: Record<string, Json> = {
    'unknown field': { ...transfer, memo: 'x' },
    'unknown field in the body': { ...transfer, body: { ...transfer.body, memo: 'x' } },
    'unknown kind': { ...transfer, kind: 'constructor' },
    'another format': { ...transfer, v: 2 },
    'a later format': { ...settle, v: 3 },
    'negative amount': { ...transfer, body: { ...transfer.body, units: '-1' } },
    'amount as a number': { ...transfer, body: { ...transfer.body, units: 1 } },
    'sequence 0': { ...transfer, body: { ...transfer.body, sequence: 0 } },
    'signatures out of order': { ...transfer, signatures: signatures.toReversed() as unknown as Json },
    'one key twice': { ...transfer, signatures: [signatures[0], signatures[0]] as unknown as Json },
    'five signatures': {
      ...transfer,
      signatures: Array.from({ length: 5 }, (_, i) => ({ key: String(i).repeat(64), signature: '0'.repeat(128) })),
    },
    'manifest without a default': {
      ...create,
      body: { ...create.body, manifest: { ...incomplete } },
    } as unknown as Json,
    'manifest that asks for what is not supported': {
      ...create,
      body: { ...create.body, manifest: { ...sampleManifest, runtime: 'deno-3' } },
    } as unknown as Json,
    'a settlement of nothing': { ...settle, body: { ...settle.body, batches: [], lost: [] } } as unknown as Json,
  };
  return {
    about: 'Signed and hashed: the statement, without the signatures. The id is its SHA-256. Signatures stand in ascending order of key.',
    version2: 'Signed: `signed`, which holds the id.',
    transactions: [...sampleTransactions(), sampleSettlementOfVersion2()].map((transaction) => {
      const { signatures: _, ...unsigned } = transaction;
      const id = transactionId(transaction);
      return {
        transaction,
        statement: decode(statement(labels.transaction, unsigned as unknown as Json)),
        id,
        ...(transaction.v === 2 && { signed: decode(statement(labels.transactionId, id)) }),
      };
    }) as unknown as Json,
    refused: Object.entries(refused).map(([name, transaction]) => ({
      name,
      transaction,
      code: refusalOf(() => parseTransaction(transaction)),
    })),
  };
}

export function chainVectors(): Json {
  const transactions = sampleTransactions().slice(0, 5);
  const results = transactions.map((transaction) => ({ id: transactionId(transaction), rejections: [] }));
  const header: BlockHeader = {
    v: 1,
    chain: sampleIds.chain,
    epoch: 1,
    height: 1,
    time: sampleTime + 1_000,
    previous: vectorHash('previous block'),
    count: transactions.length,
    transactions: transactionsRoot(transactions),
    results: resultsHash(results),
    state: vectorHash('state'),
  };
  const signature = signBlock(header, keyOf('orderer'));
  const index = 3;
  const proof = {
    v: 1,
    header,
    signature,
    cosignatures: [{ key: keyOf('peer').publicKey, signature: keyOf('peer').sign(cosignBytes(header)) }],
    index,
    path: merklePath(transactions.map(transactionLeaf), index),
    transaction: transactions[index]! as unknown as Json,
  };
  const refused: Record<string, Json> = {
    'another index': { ...proof, index: 2 },
    'a path too short': { ...proof, path: proof.path.slice(1) },
    'another transaction': { ...proof, transaction: transactions[2]! as unknown as Json },
    'a changed header': { ...proof, header: { ...header, time: header.time + 1 } },
    'a peer’s signature in place of the orderer’s': { ...proof, signature: proof.cosignatures[0]!.signature },
    'an unknown field': { ...proof, note: 'x' },
  };
  const ordererKey = keyOf('orderer').publicKey;
  return {
    about: 'Genesis and chain id; one block header with hash, signature and co-signature; proof that a transaction is in it.',
    genesis: sampleGenesis,
    genesisStatement: decode(statement(labels.genesis, sampleGenesis as unknown as Json)),
    chain: chainId(sampleGenesis),
    header,
    headerStatement: decode(statement(labels.block, header)),
    blockHash: blockHash(header),
    ordererKey,
    signature,
    results,
    resultsStatement: decode(statement(labels.results, results)),
    cosignStatement: decode(cosignBytes(header)),
    proof,
    refused: Object.entries(refused).map(([name, value]) => ({
      name,
      proof: value,
      code: refusalOf(() => checkInclusion(value, sampleIds.chain, ordererKey)),
    })),
  };
}
