import {
  accountId,
  closedRowText,
  nodeId,
  receiptRow,
  rowProof,
  rowsRoot,
  signRoot,
  superNodeId,
  ticketRow,
  ticketText,
  type ClosedRow,
  type JobRow,
  type Signer,
  type TransactionBody,
} from '@orb/protocol';
import type { Committed } from '../port.ts';
import type { TestNetwork } from './network.ts';

type Claim = TransactionBody<'job.claim'>;

/** A node's claim of jobs whose tickets its super node signed under one root. */
export function claimBody(
  net: TestNetwork,
  superNode: Signer,
  node: Signer,
  jobs: readonly JobRow[],
  closed: Claim['claims'][number]['closed'] = null,
): Claim {
  const texts = jobs.map(({ ticket }) => ticketText(ticketRow(ticket)));
  const ids = { superNode: superNodeId(superNode.publicKey), node: nodeId(node.publicKey) };
  const facts = { ...ids, batch: 1, count: texts.length, root: rowsRoot(texts) };
  return {
    ...facts,
    signature: signRoot('tickets', { chain: net.ledger.chain, ...facts }, superNode),
    claims: jobs.map(({ ticket, receipt }, place) => ({
      ticket: ticketRow(ticket),
      receipt: receiptRow(receipt),
      proof: rowProof(texts, place),
      closed,
    })),
  };
}

/** Submits {@link claimBody} as the node. */
export function claim(net: TestNetwork, superNode: Signer, node: Signer, ...jobs: JobRow[]): Promise<Committed> {
  return net.send('job.claim', claimBody(net, superNode, node, jobs), node);
}

/** Anybody concludes open jobs; the height tells one from the next. */
export function conclude(net: TestNetwork, superNode: Signer, ...jobs: string[]): Promise<Committed> {
  const body = { superNode: superNodeId(superNode.publicKey), jobs, at: net.clock.now + net.ledger.head.height };
  return net.send('job.conclude', body);
}

/** How one closed job stands under its settlement's root. */
export function closedRow(
  job: JobRow,
  node: Signer,
  payer: Signer,
  changes: Partial<Record<'end' | 'from' | 'shared' | 'royalty', string>> = {},
): ClosedRow {
  const { allowance, sequence, function: fn, parameters } = job.ticket;
  const { end = 'paid', from = 'allowance', shared = '0', royalty = '0' } = changes;
  return [
    nodeId(node.publicKey),
    end as ClosedRow[1],
    from as ClosedRow[2],
    allowance,
    accountId(payer.publicKey),
    fn,
    parameters,
    [[sequence, shared, royalty]],
  ];
}

/** Proof of one of the rows that a settlement closed. */
export function closedProof(settlement: number, rows: readonly ClosedRow[], place = 0): NonNullable<Claim['claims'][number]['closed']> {
  return { settlement, row: rows[place]!, proof: rowProof(rows.map(closedRowText), place) };
}
