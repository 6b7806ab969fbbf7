import type { LinkRole } from '@orb/protocol';
import type { IncomingCall, Link, LinkHandler, LinkPeer, OutgoingAnswer } from '@orb/link';
import type { CallerLinks } from '../callers/caller-links.ts';
import type { PeerLinks } from '../peers/peer-links.ts';
import type { NodeLinks } from './node-links.ts';

/** Who comes through the link port: nodes, other super nodes, callers. */
export class LinkDoor implements LinkHandler {
  readonly #sides: Readonly<Record<LinkRole, NodeLinks | PeerLinks | CallerLinks>>;

  constructor(dependencies: { readonly nodes: NodeLinks; readonly peers: PeerLinks; readonly callers: CallerLinks }) {
    this.#sides = { node: dependencies.nodes, 'super-node': dependencies.peers, client: dependencies.callers };
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

  #side({ role }: LinkPeer): NodeLinks | PeerLinks | CallerLinks {
    return this.#sides[role];
  }
}
