import { OrbError } from '@orb/protocol';
import type { LinkTransport } from '@orb/link';

/**
 * A link's handshake covers the TLS exporter of its connection, so that nobody in the middle can pass it on, and trusts
 * certificates that super nodes make themselves. A browser shows the first to no page, and refuses the second.
 * @throws OrbError `not-supported`, always
 */
export function openLinkTransport(): Promise<LinkTransport> {
  return Promise.reject(
    new OrbError('not-supported', {
      message: 'Browsers cannot make links: they hide the TLS exporter and refuse self-made certificates.',
      hint: "Leave transport out, or say transport: 'http'.",
    }),
  );
}

/** @throws OrbError `not-supported`, always: the boxes are libsodium's, which no browser has */
export function sealToNode(): Promise<string> {
  return Promise.reject(
    new OrbError('not-supported', { message: 'Browsers cannot seal secrets.', hint: 'Deploy from Node, or with orb deploy.' }),
  );
}
