import { writeFileSync } from 'node:fs';
import type { Json } from '../src/index.ts';
import { canonicalVectors, idVectors, keyVectors, manifestVectors, merkleVectors, moneyVectors } from './format-vectors.ts';
import { rootVectors, rowProofVectors, rowVectors } from './job-vectors.ts';
import { chainVectors, transactionVectors } from './ledger-vectors.ts';
import { descriptorVectors, ed25519Vectors, handshakeVectors, signedRequestVectors, stateVectors } from './peer-vectors.ts';

/** Every vector file: its name, and what makes its content. */
export const vectorFiles: Readonly<Record<string, () => Json>> = {
  'keys.json': keyVectors,
  'canonical-json.json': canonicalVectors,
  'ids.json': idVectors,
  'manifest.json': manifestVectors,
  'money.json': moneyVectors,
  'merkle.json': merkleVectors,
  'rows.json': rowVectors,
  'roots.json': rootVectors,
  'row-proofs.json': rowProofVectors,
  'transactions.json': transactionVectors,
  'chain.json': chainVectors,
  'descriptor.json': descriptorVectors,
  'signed-request.json': signedRequestVectors,
  'link-handshake.json': handshakeVectors,
  'ed25519.json': ed25519Vectors,
  'states.json': stateVectors,
};

/** The text of a vector file. */
export function vectorText(make: () => Json): string {
  return `${JSON.stringify(make(), null, 1)}\n`;
}

/** `node packages/protocol/vectors/generate.ts` writes all files anew. Only a new format version may change them. */
if (import.meta.main) {
  for (const [name, make] of Object.entries(vectorFiles)) writeFileSync(new URL(name, import.meta.url), vectorText(make));
}
