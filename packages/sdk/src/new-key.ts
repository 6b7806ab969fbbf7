import { createSigner, randomBytes, toHex, type Signer } from '@orb/protocol';

/** A key that was just made. */
export interface NewKey {
  /** The private key: 64 hexadecimal digits for {@link createSigner}. Whoever has it signs as you. */
  readonly seed: string;
  readonly signer: Signer;
}

/** Makes a key, for an account or for a function. Keep its seed: nobody can make it again. */
export function newKey(): NewKey {
  const seed = toHex(randomBytes(32));
  return { seed, signer: createSigner(seed) };
}
