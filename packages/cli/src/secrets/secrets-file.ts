import {
  OrbError,
  hex32,
  isolationTiers,
  limits,
  parseWith,
  secretName,
  secretValuesSchema,
  type Hex32,
  type SecretValues,
} from '@orb/protocol';
import { sealTo, type Unsealer } from '@orb/protocol/sealed-box';
import { z } from 'zod';
import { readPrivate, writePrivate } from '../key-store/private-file.ts';

const recipientsSchema = z.strictObject({
  nodes: z.array(hex32).max(1_000),
  /** Accounts that lend; their names are for people. */
  accounts: z.array(z.strictObject({ id: hex32, name: z.string().max(64) })).max(1_000),
  /** The weakest isolation that a node may say it has; null for any. */
  isolation: z.enum(isolationTiers).nullable(),
});
const fileSchema = z.strictObject({
  v: z.literal(1),
  function: hex32,
  /** Rises with every change. */
  number: z.int().min(0),
  /** The control key that the values are sealed to. */
  key: hex32,
  /** Base64 of a sealed box, by name. */
  values: z.record(secretName, z.string().max(limits.secretBytes * 2)),
  recipients: recipientsSchema,
});
/** A function's secrets on its owner's computer: values sealed to its client secret, so they are as safe as that. */
export type SecretsFile = z.output<typeof fileSchema>;

const maxBytes = 1_048_576;

/** @throws OrbError `key-store` for a file that is damaged or open to others */
export async function readSecretsFile(path: string): Promise<SecretsFile | undefined> {
  const text = await readPrivate(path, { maxBytes });
  if (text === undefined) return undefined;
  try {
    return parseWith(fileSchema, JSON.parse(text), 'secrets');
  } catch {
    throw new OrbError('key-store', {
      message: `${path} is damaged.`,
      hint: 'Restore it from your back-up, or delete it and put the secrets again.',
    });
  }
}

export async function writeSecretsFile(path: string, file: SecretsFile): Promise<void> {
  await writePrivate(path, `${JSON.stringify(file, null, 1)}\n`, { replace: true });
}

/** Seals one value. @throws OrbError `invalid-request`, never showing it */
export function sealValue(name: string, value: string, key: Hex32): string {
  parseWith(secretValuesSchema, { [name]: value }, 'secret');
  return Buffer.from(sealTo(key, Buffer.from(value))).toString('base64');
}

/** Every value in the clear. @throws OrbError `key-store` when one does not open */
export function openValues({ values }: SecretsFile, key: Unsealer): SecretValues {
  return Object.fromEntries(Object.entries(values).map(([name, box]) => [name, openValue(name, box, key)]));
}

function openValue(name: string, box: string, key: Unsealer): string {
  const value = key.unseal(Buffer.from(box, 'base64'));
  if (value) return Buffer.from(value).toString();
  throw new OrbError('key-store', { message: `The value of ${name} does not open with the client secret.`, hint: 'Put it again.' });
}
