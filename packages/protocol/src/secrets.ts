import { z } from 'zod';
import { verify, type Hex32, type Signer } from '#crypto';
import { fromUtf8, utf8 } from './bytes.ts';
import { canonical, labels, statement } from './canonical.ts';
import { OrbError } from './errors.ts';
import type { ChainId, FunctionId, NodeId } from './ids.ts';
import { limits } from './limits.ts';
import { hex32, hex64, parseWith, secretName, sequence } from './schema.ts';

/*
 * A function's secrets on their way to one node: a package signed by the function's control key, inside a sealed box that
 * only this node's key opens (crypto/sealed-box.ts). The package names the node, so that a node that may have it cannot
 * hand it on as the owner's word to another; and it has a number, so that an old one never replaces a newer one.
 */

const secretValue = z
  .string()
  .refine((value) => !value.includes('\0'), 'must not hold a NUL character')
  .refine((value) => value.isWellFormed(), 'must be text')
  .refine((value) => utf8(value).byteLength <= limits.secretBytes, `must have at most ${limits.secretBytes} bytes`);

/** Values by name, within the limits. */
export const secretValuesSchema = z
  .record(secretName, secretValue)
  .refine((values) => Object.keys(values).length <= limits.secrets, `must be at most ${limits.secrets} secrets`)
  .refine(
    (values) => Object.entries(values).reduce((sum, [name, value]) => sum + utf8(name + value).byteLength, 0) <= limits.secretsBytes,
    `must have at most ${limits.secretsBytes} bytes, names and values together`,
  );
/** Values by name. */
export type SecretValues = z.output<typeof secretValuesSchema>;

const secretsBody = z.strictObject({
  v: z.literal(1),
  chain: hex32,
  function: hex32,
  /** 1, 2, 3 …: rises with every change. */
  number: sequence,
  /** The one node that it is for. */
  node: hex32,
  values: secretValuesSchema,
});
/** All secrets of a function at one number, for one node. */
export type Secrets = z.output<typeof secretsBody>;
const packageSchema = z.strictObject({ ...secretsBody.shape, key: hex32, signature: hex64 });

/** What stands in front of a sealed box's content, bytes: its one-time key and its authenticator. */
const sealBytes = 48;

/**
 * The bytes that go into a node's box.
 * @param controlKey the function's current control key
 * @throws OrbError `invalid-request` for bad names or values, never showing a value; `too-large`
 */
export function signSecrets(body: Secrets, controlKey: Signer): Uint8Array {
  const checked = parseWith(secretsBody, body, 'secrets');
  const signature = controlKey.sign(statement(labels.secrets, checked));
  const bytes = utf8(canonical({ ...checked, key: controlKey.publicKey, signature }));
  if (bytes.byteLength + sealBytes > limits.secretBoxBytes) {
    throw new OrbError('too-large', {
      message: `The secrets take ${bytes.byteLength + sealBytes} bytes when they are written; the limit is ${limits.secretBoxBytes}.`,
    });
  }
  return bytes;
}

/** What a package must say to be taken. */
export interface ExpectedSecrets {
  readonly chain: ChainId;
  readonly function: FunctionId;
  readonly node: NodeId;
  /** The function's control key now. */
  readonly key: Hex32;
}

/**
 * Reads what was in a box: for this chain, function and node, and signed by the function's control key. No message shows
 * anything of it.
 * @throws OrbError `invalid-request`, `wrong-chain`, `bad-signature`
 */
export function readSecrets(bytes: Uint8Array, expected: ExpectedSecrets): Secrets {
  const { key, signature, ...body } = parsePackage(bytes);
  if (body.chain !== expected.chain) throw new OrbError('wrong-chain', { message: 'The secrets are for another ledger.' });
  if (body.function !== expected.function) throw new OrbError('invalid-request', { message: 'The secrets are another function’s.' });
  if (body.node !== expected.node) throw new OrbError('invalid-request', { message: 'The secrets are for another node.' });
  if (key !== expected.key || !verify(key, statement(labels.secrets, body), signature)) {
    throw new OrbError('bad-signature', { message: 'The secrets are not signed by the function’s control key.' });
  }
  return body;
}

function parsePackage(bytes: Uint8Array): z.output<typeof packageSchema> {
  // What is wrong with it may be a value: only that it is wrong is said, and no cause is kept.
  const bad = new OrbError('invalid-request', { message: 'The box does not hold secrets as they are written.' });
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(bytes));
  } catch {
    throw bad;
  }
  const result = packageSchema.safeParse(value);
  if (!result.success) throw bad;
  return result.data;
}
