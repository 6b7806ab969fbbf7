import type { IncomingCall, Link, OutgoingAnswer } from '@orb/link';
import { WssTransport } from '@orb/link/wss';
import { createSigner, randomBytes, toHex, type LinkRole } from '@orb/protocol';
import type { CallTarget } from '../load/caller.ts';

/** Links to the hub under a key of its own. */
export function dialHub(
  { address, key, chain }: Extract<CallTarget, { protocol: 'link' }>,
  role: LinkRole,
  call: (call: IncomingCall) => Promise<OutgoingAnswer>,
): Promise<Link> {
  return new WssTransport().dial(address, {
    peerKey: key,
    identity: { chain, role, signer: createSigner(toHex(randomBytes(32))) },
    handler: { call, notice: () => undefined },
  });
}
