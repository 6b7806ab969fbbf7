import type { IncomingCall } from '@orb/link';
import { limits, OrbError, parseWith, secretsRequestSchema, type ChainId } from '@orb/protocol';
import { followRotations, readTransaction } from '../seeding/control-pins.ts';
import type { SeedShelf } from '../seeding/seed-shelf.ts';
import type { SecretShelf } from './secret-shelf.ts';

/**
 * Takes the secrets of a function that this node seeds, where the function's control key has signed them.
 * @returns the number held now
 * @throws OrbError `not-supported`, `not-found` for a function that is not seeded here, `gone`, and what {@link SecretShelf.take} throws
 */
export async function takeSecrets(
  call: IncomingCall,
  chain: ChainId,
  { shelf, secrets }: { readonly shelf: SeedShelf; readonly secrets: SecretShelf | undefined },
): Promise<{ number: number }> {
  const { function: fn, rotations = [] } = parseWith(secretsRequestSchema, call.header, 'secrets');
  if (!secrets) throw new OrbError('not-supported', { message: 'This node can keep no secrets.' });
  const box = await call.body.bytes(limits.secretBoxBytes);
  const pin = shelf.pin(fn);
  if (pin?.ended) throw new OrbError('gone');
  if (!pin || !shelf.holds(fn)) throw new OrbError('not-found', { message: 'This node seeds no version of that function.' });
  const followed = followRotations(
    pin,
    fn,
    rotations.map((one) => readTransaction(one, chain)),
  );
  if (followed.sequence !== pin.sequence) await shelf.keepPin(fn, followed);
  return { number: await secrets.take(fn, followed.keys.at(-1)!, box) };
}
