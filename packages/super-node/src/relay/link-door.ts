import { OrbError } from '@orb/protocol';
import type { IncomingCall, Link, LinkHandler, LinkPeer, OutgoingAnswer } from '@orb/link';
import type { PeerLinks } from '../peers/peer-links.ts';
import type { NodeLinks } from './node-links.ts';

/** Who comes through the link port: nodes to the one side, super nodes to the other. */
export class LinkDoor implements LinkHandler {
  readonly #nodes: NodeLinks;
  readonly #peers: PeerLinks;

  constructor(dependencies: { readonly nodes: NodeLinks; readonly peers: PeerLinks }) {
    this.#nodes = dependencies.nodes;
    this.#peers = dependencies.peers;
  }

  /** @throws OrbError `link-refused` */
  async authorize(peer: LinkPeer): Promise<void> {
    return this.#side(peer).authorize(peer);
  }

  opened(link: Link): void {
    this.#side(link.peer).opened(link);
  }

  call(call: IncomingCall, link: Link): Promise<OutgoingAnswer> {
    return this.#side(link.peer).call(call, link);
  }

  notice(method: string, header: unknown, link: Link): void {
    this.#side(link.peer).notice(method, header, link);
  }

  #side({ role }: LinkPeer): NodeLinks | PeerLinks {
    if (role === 'node') return this.#nodes;
    if (role === 'super-node') return this.#peers;
    throw new OrbError('link-refused', { message: `Links of role ${role} are not taken here yet.` });
  }
}
