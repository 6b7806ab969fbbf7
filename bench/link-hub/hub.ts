import type { IncomingCall, Link } from '@orb/link';
import { WssTransport } from '@orb/link/wss';
import { createSigner, randomBytes, toHex } from '@orb/protocol';
import { reportReady } from '../child.ts';

// The limit of Orb's own links in the hub's layout: authenticated, framed, over TLS; no ticket, no sandbox, no ledger.
const chain = toHex(randomBytes(32));
const signer = createSigner(toHex(randomBytes(32)));
let provider: Link | undefined;

const listener = await new WssTransport({ host: '127.0.0.1', port: 0 }).listen({
  identity: { chain, role: 'super-node', signer },
  authorize: () => undefined,
  onLink: (link) => {
    if (link.peer.role === 'node') provider = link;
  },
  handler: {
    async call({ header, body }: IncomingCall) {
      const answer = await provider!.call('echo', header, body.complete ?? body);
      return { header: answer.header, body: answer.body.complete ?? answer.body };
    },
    notice: () => undefined,
  },
});
reportReady({ address: listener.address, key: signer.publicKey, chain });
