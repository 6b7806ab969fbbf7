import { OrbError, type CallerSignature, type RequestIdentity } from '@orb/protocol';
import type { RequestStream } from '../streaming/request-stream.ts';
import { pathBelow } from './path-below.ts';
import type { SignedAccess } from './signed-access.ts';
import { namesOf } from './signed-message.ts';

/** A call that did not come as the web request that its caller has signed. */
export interface SignedCall {
  readonly owner: string;
  readonly name: string;
  readonly method: string;
  /** Below the function. */
  readonly path: string;
  readonly body: Uint8Array | RequestStream;
  readonly signed: CallerSignature;
  /** Address of the gateway that it was signed for. */
  readonly gateway: string;
}

/** Who signed. @throws OrbError `unauthenticated` for another request's signature, a wrong one or a replay */
export function identifyCaller(
  { owner, name, method, path, body, signed, gateway }: SignedCall,
  signedAccess: SignedAccess,
): RequestIdentity {
  if (!(body instanceof Uint8Array))
    throw new OrbError('unauthenticated', { message: 'A signature covers a whole body; this one streams.' });
  const { target, ...headers } = signed;
  const called = `/fn/${owner}/${name}`;
  if (!target.startsWith(called) || !/^([/?]|$)/.test(target.slice(called.length)) || pathBelow(target, 3) !== path) {
    throw new OrbError('unauthenticated', { message: 'The signature is for another request.' });
  }
  return identifyByName(namesOf(gateway.replace(/\/$/, '')), (known) =>
    signedAccess.identify({ method, url: `${known}${target}`, headers, body })!,
  );
}

/** The gateway may have been called by any of its names. @throws OrbError what is wrong under the first of them */
function identifyByName([name, ...more]: readonly string[], identifyAs: (name: string) => RequestIdentity): RequestIdentity {
  try {
    return identifyAs(name!);
  } catch (error) {
    for (const other of more) {
      try {
        return identifyAs(other);
      } catch {
        // The first name's error says most: it is the one that the ledger holds.
      }
    }
    throw error;
  }
}
