import { writeFileSync } from 'node:fs';
import type { Json } from '../src/index.ts';
import { canonicalVectors, idVectors, keyVectors, manifestVectors, merkleVectors, moneyVectors } from './format-vectors.ts';
import { linkMessageVectors } from './link-message-vectors.ts';
import { rootVectors, rowProofVectors, rowVectors } from './job-vectors.ts';
import { chainVectors, transactionVectors } from './ledger-vectors.ts';
import { ordererChangeVectors } from './sample-orderer-change.ts';
import { secretVectors } from './secret-vectors.ts';
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
  'orderer-change.json': ordererChangeVectors,
  'descriptor.json': descriptorVectors,
  'signed-request.json': signedRequestVectors,
  'link-handshake.json': handshakeVectors,
  'link-messages.json': linkMessageVectors,
  'ed25519.json': ed25519Vectors,
  'secrets.json': secretVectors,
  'states.json': stateVectors,
};

/** The text of a vector file. */
export function vectorText(make: () => Json): string {
  return `${JSON.stringify(make(), null, 1)}\n`;
}

/**
 * `node packages/protocol/vectors/generate.ts` writes all files anew; only a new format version may change them. With
 * `--release` it also keeps them under previous/, where the next version is held against them.
 */
if (import.meta.main) {
  const folders = process.argv.includes('--release') ? ['', 'previous/'] : [''];
  for (const [name, make] of Object.entries(vectorFiles))
    for (const folder of folders) writeFileSync(new URL(folder + name, import.meta.url), vectorText(make));
}
