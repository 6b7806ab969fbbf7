import { z } from 'zod';
import { verify, type Signer } from '#crypto';
import { labels, statement } from './canonical.ts';
import { OrbError } from './errors.ts';
import { gatewayAddress, hex32, hex64, listOf, parseWith } from './schema.ts';
import { isAccountName, isFunctionName } from './ids.ts';

/**
 * The small signed JSON that names a function to callers and to its owner. It follows the current version unless it
 * pins one. Signed with the control key, which the ledger's function record confirms.
 */
const descriptorBody = z.strictObject({
  v: z.literal(1),
  chain: hex32,
  function: hex32,
  owner: z.string().refine(isAccountName, 'must be an account name'),
  name: z.string().refine(isFunctionName, 'must be a function name'),
  /** A pinned version id; null follows the current one. */
  version: hex32.nullable(),
  /** Gateways that are known to take calls, best first. */
  gateways: listOf(gatewayAddress, 1, 8),
});
/** A descriptor with its signature. */
export const descriptorSchema = z.strictObject({ ...descriptorBody.shape, key: hex32, signature: hex64 });
/** A descriptor as read. */
export type Descriptor = z.output<typeof descriptorSchema>;

/** Makes a descriptor. @param controlKey the function's current control key */
export function signDescriptor(body: z.output<typeof descriptorBody>, controlKey: Signer): Descriptor {
  return { ...body, key: controlKey.publicKey, signature: controlKey.sign(statement(labels.descriptor, body)) };
}

/** Reads a descriptor and checks its signature by the key it names. @throws OrbError `invalid-request`, `bad-signature` */
export function parseDescriptor(value: unknown): Descriptor {
  const descriptor = parseWith(descriptorSchema, value, 'descriptor');
  const { key, signature, ...body } = descriptor;
  if (!verify(key, statement(labels.descriptor, body), signature)) {
    throw new OrbError('bad-signature', { message: 'The descriptor’s signature is wrong.' });
  }
  return descriptor;
}
