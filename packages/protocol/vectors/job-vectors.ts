import {
  acknowledgementRow,
  closedRowText,
  jobIdOf,
  jobRowSchema,
  jobTimes,
  outcomes,
  parseWith,
  receiptRow,
  receiptText,
  requestHash,
  resultHash,
  rootBytes,
  rowProof,
  rowsRoot,
  rowsRootFromProof,
  sha256,
  signRoot,
  streamedRequestHash,
  ticketRow,
  ticketText,
  type Json,
  type RowProof,
} from '../src/index.ts';
import { refusalOf } from './format-vectors.ts';
import { keyOf, sampleAcknowledgement, sampleIds, sampleReceipt, sampleTicket } from './sample.ts';
import { sampleClosedRows, sampleReceiptsRoot, sampleRows, sampleTickets } from './sample-transactions.ts';

export function rowVectors(): Json {
  const ticket = sampleTicket(0);
  const receipt = sampleReceipt(0);
  const acknowledgement = sampleAcknowledgement(0);
  const [t, r, a] = sampleRows[0]!;
  const refused: Record<string, Json> = {
    'a field too many': [[...t, 0], r, a],
    'a field too few': [t.slice(1), r, a],
    'hash in upper case': [[t[0].toUpperCase(), ...t.slice(1)], r, a],
    'time that is not whole': [t, [0.5, ...r.slice(1)], a],
    'negative time': [t, [-1, ...r.slice(1)], a],
    'unsafe integer': [t, [...r.slice(0, 4), 9_007_199_254_740_992, ...r.slice(5)], a],
    'rate with a leading zero': [[...t.slice(0, 7), '01', ...t.slice(8)], r, a],
    'outcome without a receipt': [t, [...r.slice(0, 8), 'lost'], a],
    'outcome that is a property of every object': [t, [...r.slice(0, 8), 'constructor'], a],
    'receipt with one half of the network’s bytes': [t, [...r, 7], a],
    'receipt with bytes of the network that are none': [t, [...r, 7, -1], a],
    'text instead of a truth value': [t, r, ['true', ...a.slice(1)]],
  };
  const body = sha256('hello');
  return {
    about: 'Rows are JSON arrays in the order of the fields. Their text is JSON without spaces.',
    ticket: {
      fields: { ...ticket },
      row: ticketRow(ticket),
      text: ticketText(ticketRow(ticket)),
      job: jobIdOf(ticket),
    },
    receipt: { fields: { ...receipt }, row: receiptRow(receipt), text: receiptText(t, r) },
    receiptWithNetwork: {
      fields: { ...receipt, network: { bytesOut: 420, bytesIn: 65_536 } },
      row: receiptRow({ ...receipt, network: { bytesOut: 420, bytesIn: 65_536 } }),
    },
    acknowledgement: { fields: { ...acknowledgement }, row: acknowledgementRow(acknowledgement) },
    times: { ...jobTimes(receipt, acknowledgement, acknowledgement.doneAtMs + 250) },
    outcomes,
    refused: Object.entries(refused).map(([name, row]) => ({
      name,
      row,
      code: refusalOf(() => parseWith(jobRowSchema, row, 'row')),
    })),
    hashes: {
      request: { method: 'POST', path: '/a?b=c', bodySha256: body, hash: requestHash('POST', '/a?b=c', body) },
      streamedRequest: { method: 'POST', path: '/a?b=c', hash: streamedRequestHash('POST', '/a?b=c') },
      result: { status: 200, bodySha256: body, hash: resultHash(200, body) },
    },
  };
}

export function rootVectors(): Json {
  const tickets = sampleRows.map(([ticket]) => ticketText(ticket));
  const receipts = sampleRows.map(([ticket, receipt]) => receiptText(ticket, receipt));
  const ticketsRoot = { ...sampleReceiptsRoot, root: rowsRoot(tickets) };
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return {
    about: 'The super node signs the root of the tickets of a tick, the node that of the receipts.',
    superNode: sampleIds.superNode,
    tickets: {
      texts: tickets,
      statement: decode(rootBytes('tickets', ticketsRoot)),
      key: keyOf('superNode').publicKey,
      signature: signRoot('tickets', ticketsRoot, keyOf('superNode')),
    },
    receipts: {
      texts: receipts,
      statement: decode(rootBytes('receipts', sampleReceiptsRoot)),
      key: keyOf('node').publicKey,
      signature: signRoot('receipts', sampleReceiptsRoot, keyOf('node')),
    },
  };
}

export function rowProofVectors(): Json {
  const proofs = [0, 7, 8, 10].map((place) => ({ text: sampleTickets[place]!, proof: rowProof(sampleTickets, place) }));
  const { text, proof } = proofs[3]!;
  const refused: Record<string, { text: string; proof: RowProof }> = {
    'another text': { text: sampleTickets[9]!, proof },
    'another place': { text, proof: { ...proof, place: 2 } },
    'a place outside': { text, proof: { ...proof, place: 11 } },
    'another count': { text, proof: { ...proof, count: 12 } },
    'a shorter leaf': { text, proof: { ...proof, leaf: proof.leaf.slice(1), place: 9 } },
    'a shorter path': { text, proof: { ...proof, path: [] } },
  };
  const root = rowsRoot(sampleTickets);
  return {
    about: 'That a row stands under a root. Refused: what leads to no root, or to another one.',
    root,
    proofs: proofs as unknown as Json,
    refused: Object.entries(refused).map(([name, one]) => ({
      name,
      ...one,
      root: rowsRootFromProof(one.text, one.proof) ?? null,
    })) as unknown as Json,
    closedRows: sampleClosedRows.map((row) => ({ row, text: closedRowText(row) })) as unknown as Json,
  };
}
