import {
  acknowledgementRow,
  canonical,
  closedRowText,
  jobId,
  jobRow,
  receiptRow,
  receiptText,
  rowProof,
  rowsRoot,
  signPrepared,
  signRoot,
  signTransaction,
  ticketRow,
  ticketText,
  type ClosedRow,
  type Json,
  type Transaction,
  type TransactionBody,
  type TransactionKind,
} from '../src/index.ts';
import {
  keyOf,
  sampleAcknowledgement,
  sampleIds,
  sampleManifest,
  sampleReceipt,
  sampleTicket,
  sampleTime,
  vectorHash,
  type keyNumbers,
} from './sample.ts';
import { sampleCertificate } from './sample-orderer-change.ts';

const { developer, provider, operator, superNode, node, allowance } = sampleIds;
type Holder = keyof typeof keyNumbers;
const sequences = [0, 1, 2];

/** Rows of the sample settlement's jobs. */
export const sampleRows = sequences.map((sequence) =>
  jobRow({
    ticket: sampleTicket(sequence),
    receipt: sampleReceipt(sequence),
    acknowledgement: sampleAcknowledgement(sequence),
  }),
);

/** The node's root over the receipts of {@link sampleRows}. */
export const sampleReceiptsRoot = {
  chain: sampleIds.chain,
  superNode,
  node,
  batch: 1,
  count: sampleRows.length,
  root: rowsRoot(sampleRows.map(([ticket, receipt]) => receiptText(ticket, receipt))),
};

/** Tickets of one tick, more than share a leaf. */
export const sampleTickets = Array.from({ length: 11 }, (_, n) => ticketText(ticketRow(sampleTicket(n))));

const sampleTicketsRoot = { chain: sampleIds.chain, superNode, node, batch: 1, count: sampleTickets.length, root: rowsRoot(sampleTickets) };

/** What a settlement has closed: a payment, and the word that a job was lost. */
export const sampleClosedRows: readonly ClosedRow[] = [
  [
    node,
    'paid',
    'allowance',
    allowance,
    developer,
    sampleIds.function,
    1,
    [
      [0, '3840', '0'],
      [1, '5120', '0'],
    ],
  ],
  [node, 'lost', 'allowance', allowance, developer, sampleIds.function, 1, [[9, '0', '0']]],
];
export const sampleClosedTexts = sampleClosedRows.map(closedRowText);

/** For each kind a valid body and who signs it. */
const samples: { readonly [K in TransactionKind]: readonly [body: TransactionBody<K>, signers: readonly Holder[]] } = {
  'account.create': [{ name: 'alice', key: keyOf('developer').publicKey, roles: ['developer', 'provider'] }, ['developer']],
  'treasury.mint': [{ sequence: 1, to: developer, units: '600000000000' }, ['treasury']],
  'treasury.burn': [{ sequence: 2, units: '1000000000' }, ['treasury']],
  transfer: [{ from: developer, sequence: 1, to: provider, units: '12500000000' }, ['developer']],
  'super-node.register': [
    {
      account: operator,
      sequence: 1,
      key: keyOf('superNode').publicKey,
      address: 'wss://super.example:7443',
      gateway: 'https://super.example',
      bond: '1000000000000',
    },
    ['operator', 'superNode'],
  ],
  'node.register': [{ account: provider, sequence: 1, key: keyOf('node').publicKey, label: 'desk' }, ['provider', 'node']],
  'node.retire': [{ account: provider, sequence: 2, node }, ['provider']],
  'function.create': [
    {
      account: developer,
      sequence: 3,
      name: 'hello',
      incarnation: 1,
      controlKey: keyOf('control').publicKey,
      recoveryKey: keyOf('recovery').publicKey,
      manifest: sampleManifest,
    },
    ['developer', 'control'],
  ],
  'function.control': [
    {
      function: sampleIds.function,
      sequence: 1,
      action: { type: 'publish', manifest: { ...sampleManifest, memoryMiB: 256 } },
    },
    ['control'],
  ],
  'allowance.open': [
    {
      payer: developer,
      sequence: 2,
      superNode,
      functions: '*',
      maxUnits: '100000000000',
      maxPerCall: '1280000000',
      expires: sampleTime + 86_400_000,
    },
    ['developer'],
  ],
  'allowance.release': [{ allowance }, []],
  'job.assign': [{ superNode, node, tickets: sequences.map((n) => ticketRow(sampleTicket(n))) }, ['superNode']],
  'job.finish': [{ superNode, node, receipts: sequences.map((n) => [jobId(allowance, n), receiptRow(sampleReceipt(n))]) }, ['node']],
  'job.acknowledge': [
    {
      superNode,
      acknowledgements: sequences.map((n) => [jobId(allowance, n), acknowledgementRow(sampleAcknowledgement(n))]),
    },
    ['superNode'],
  ],
  'job.settle': [
    {
      superNode,
      batches: [{ node, batch: 1, signature: signRoot('receipts', sampleReceiptsRoot, keyOf('node')), rows: sampleRows }],
      lost: [{ node, ticket: ticketRow(sampleTicket(3)) }],
    },
    ['superNode'],
  ],
  'credit.sweep': [{ account: provider, superNodes: [superNode], at: 1_800_000_000_000 }, ['provider']],
  'account.rotate': [
    { account: developer, sequence: 4, keys: [keyOf('other').publicKey], recoveryKey: keyOf('recovery').publicKey },
    ['developer', 'other'],
  ],
  'account.recover': [{ account: developer, number: 1, keys: [keyOf('other').publicKey] }, ['recovery']],
  'account.cancel-recovery': [{ account: developer, sequence: 5 }, ['developer']],
  'account.finish-recovery': [{ account: developer, number: 1 }, []],
  'super-node.unbond': [{ account: operator, sequence: 2, superNode, units: '1000000000000' }, ['operator']],
  'super-node.withdraw': [{ superNode, due: sampleTime + 604_800_000 }, []],
  'job.claim': [
    {
      superNode,
      node,
      batch: 1,
      count: sampleTickets.length,
      root: sampleTicketsRoot.root,
      signature: signRoot('tickets', sampleTicketsRoot, keyOf('superNode')),
      claims: [
        { ticket: ticketRow(sampleTicket(1)), receipt: receiptRow(sampleReceipt(1)), proof: rowProof(sampleTickets, 1), closed: null },
        {
          ticket: ticketRow(sampleTicket(9)),
          receipt: receiptRow(sampleReceipt(2)),
          proof: rowProof(sampleTickets, 9),
          closed: { settlement: 1, row: sampleClosedRows[1]!, proof: rowProof(sampleClosedTexts, 1) },
        },
      ],
    },
    ['node'],
  ],
  'job.conclude': [{ superNode, jobs: sequences.map((n) => jobId(allowance, n)), at: sampleTime }, []],
  'job.refund': [
    { superNode, settlement: 1, job: jobId(allowance, 0), row: sampleClosedRows[0]!, proof: rowProof(sampleClosedTexts, 0) },
    ['superNode', 'provider'],
  ],
  'peer.vote': [
    { account: operator, sequence: 3, subject: { type: 'dispute', superNode, job: jobId(allowance, 0), pay: true } },
    ['operator'],
  ],
  'reward.commission': [{ superNodes: [superNode], at: sampleTime }, []],
  'seeding.root': [{ function: sampleIds.function, version: sampleIds.version, root: vectorHash('pieces'), pieces: 5 }, ['control']],
  'seeding.challenge': [{ superNode, function: sampleIds.function, version: sampleIds.version, number: 1 }, ['superNode']],
  'seeding.commit': [{ superNode, function: sampleIds.function, number: 1, node, commitment: vectorHash('commitment') }, ['node']],
  'seeding.answer': [{ superNode, function: sampleIds.function, number: 1, node, piece: 'c0de', path: [vectorHash('sibling')] }, ['node']],
  'seeding.pay': [{ superNode, function: sampleIds.function, number: 1 }, []],
  'orderer.change': [sampleCertificate, []],
};

/** A valid, signed transaction of a kind. */
export function sampleTransaction<K extends TransactionKind>(kind: K): Transaction<K> {
  const [body, signers] = samples[kind];
  return signTransaction(sampleIds.chain, kind, body, signers.map(keyOf));
}

/** The same settlement under version 2 of transactions. */
export function sampleSettlementOfVersion2(): Transaction<'job.settle'> {
  const [body, signers] = samples['job.settle'];
  const written = { body, text: canonical(body as unknown as Json) };
  return signPrepared(sampleIds.chain, 'job.settle', written, signers.map(keyOf), 2).transaction as Transaction<'job.settle'>;
}

/** One transaction of every kind, in the order of the table of kinds. */
export function sampleTransactions(): Transaction[] {
  return (Object.keys(samples) as TransactionKind[]).map((kind) => sampleTransaction(kind));
}

/** Every control action. */
export const sampleActions: readonly TransactionBody<'function.control'>['action'][] = [
  { type: 'publish', manifest: sampleManifest },
  { type: 'revert', number: 1 },
  {
    type: 'traffic',
    shares: [
      [1, 90],
      [2, 10],
    ],
  },
  { type: 'stop' },
  { type: 'start' },
  { type: 'decommission' },
  { type: 'rotate', controlKey: keyOf('other').publicKey, recoveryKey: keyOf('recovery').publicKey },
];
