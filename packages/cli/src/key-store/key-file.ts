import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { OrbError, canonical, createSigner, hex32, isHex32, utf8, type Hex32, type Signer } from '@orb/protocol';
import { createUnsealer, type Unsealer } from '@orb/protocol/sealed-box';
import { z } from 'zod';

/** What a key is for; part of what its encryption authenticates, so that files cannot be swapped. */
const keyPurposes = ['account', 'client-secret', 'recovery', 'node', 'peer'] as const;
type KeyPurpose = (typeof keyPurposes)[number];

/* scrypt (RFC 7914) with N = 2^17, r = 8: 128 MiB and about 0.3 s for each guess of a passphrase. */
const scryptCost = 131_072;
const scryptBlock = 8;
const base64 = (maxChars: number) =>
  z
    .string()
    .max(maxChars)
    .regex(/^[A-Za-z0-9+/]+={0,2}$/);

/** A key on disk. With `encryption` null the seed stands in the clear, guarded by the file's mode alone. */
export const keyFileSchema = z.strictObject({
  v: z.literal(1),
  purpose: z.enum(keyPurposes),
  name: z.string().max(256),
  publicKey: hex32,
  /** The account that it signs for, where that is not the hash of this very key: the key has been changed. */
  account: hex32.optional(),
  encryption: z
    .strictObject({
      kdf: z.literal('scrypt'),
      n: z.literal(scryptCost),
      r: z.literal(scryptBlock),
      p: z.literal(1),
      salt: base64(64),
      cipher: z.literal('aes-256-gcm'),
      nonce: base64(32),
      tag: base64(32),
    })
    .nullable(),
  /** The 32-byte Ed25519 seed: hex, or base64 of its ciphertext. */
  secret: z.string().max(128),
});
export type KeyFile = z.output<typeof keyFileSchema>;

/** A key that was opened: it signs, and opens what is sealed to it. */
export type StoredKey = Signer & Unsealer;

/** Names a key without its secret. */
export interface KeyLabel {
  readonly purpose: KeyPurpose;
  readonly name: string;
  /** See {@link keyFileSchema}. */
  readonly account?: Hex32;
}

/** Makes a new key. @param passphrase undefined leaves the file unencrypted */
export async function createKeyFile(
  label: KeyLabel,
  passphrase: string | undefined,
  seed: Hex32 = randomBytes(32).toString('hex'),
): Promise<KeyFile> {
  const open = { v: 1, purpose: label.purpose, name: label.name, publicKey: createSigner(seed).publicKey } as const;
  const account = label.account === undefined ? {} : { account: label.account };
  if (passphrase === undefined) return { ...open, ...account, encryption: null, secret: seed };
  const salt = randomBytes(32);
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', await deriveKey(passphrase, salt), nonce);
  cipher.setAAD(utf8(canonical(open)));
  const secret = Buffer.concat([cipher.update(Buffer.from(seed, 'hex')), cipher.final()]);
  const encryption = {
    kdf: 'scrypt',
    n: scryptCost,
    r: scryptBlock,
    p: 1,
    salt: salt.toString('base64'),
    cipher: 'aes-256-gcm',
    nonce: nonce.toString('base64'),
    tag: cipher.getAuthTag().toString('base64'),
  } as const;
  return { ...open, ...account, encryption, secret: secret.toString('base64') };
}

/**
 * The key in a key file. The seed must give the public key that the file names.
 * @throws OrbError `key-store` for a wrong passphrase or a changed file
 */
export async function openKeyFile(file: KeyFile, passphrase: () => Promise<string>): Promise<StoredKey> {
  const seed = file.encryption === null ? file.secret : await decryptSeed(file, await passphrase());
  const signer = isHex32(seed) ? createSigner(seed) : undefined;
  if (signer?.publicKey !== file.publicKey) {
    throw new OrbError('key-store', {
      message: `The key file of ${file.name} has been changed: its secret does not belong to its public key.`,
      hint: 'Restore it from your back-up.',
    });
  }
  return { ...signer, unseal: (box) => createUnsealer(seed).unseal(box) };
}

async function decryptSeed({ v, purpose, name, publicKey, encryption, secret }: KeyFile, passphrase: string): Promise<string> {
  const { salt, nonce, tag } = encryption!;
  const key = await deriveKey(passphrase, Buffer.from(salt, 'base64'));
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64'), { authTagLength: 16 });
    decipher.setAAD(utf8(canonical({ v, purpose, name, publicKey })));
    decipher.setAuthTag(Buffer.from(tag, 'base64'));
    return Buffer.concat([decipher.update(Buffer.from(secret, 'base64')), decipher.final()]).toString('hex');
  } catch (cause) {
    throw new OrbError('key-store', {
      message: `The passphrase is wrong, or the key file of ${name} has been changed.`,
      hint: 'Try again; without the passphrase the key cannot be had.',
      cause,
    });
  }
}

function deriveKey(passphrase: string, salt: Uint8Array): Promise<Buffer> {
  const options = { N: scryptCost, r: scryptBlock, p: 1, maxmem: 256 * 1024 * 1024 };
  return new Promise((resolve, reject) => {
    // NFKC, so that the same words typed on another system are the same passphrase.
    scrypt(passphrase.normalize('NFKC'), salt, 32, options, (error, key) => (error ? reject(error) : resolve(key)));
  });
}
