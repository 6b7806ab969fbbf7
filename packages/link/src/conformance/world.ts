import { createSigner, randomBytes, toHex, type Hex32 } from '@orb/protocol';
import { dialHandshake } from '../handshake.ts';
import type { LinkSettings } from '../link-limits.ts';
import type { MessagePipe } from '../message-pipe.ts';
import type { DialOptions, Link, LinkHandler, LinkIdentity, LinkListener, LinkTransport, ListenOptions } from '../port.ts';
import { RawPeer } from './raw-peer.ts';

/** What a transport brings to its conformance suite. */
export interface LinkFixture {
  readonly transport: LinkTransport;
  /** A pipe to a listener before the handshake, for hostile diallers. */
  openPipe(address: string): Promise<{ readonly pipe: MessagePipe; readonly exporter: Hex32 }>;
}

/** Makes a transport whose links have these settings. */
export type MakeLinkFixture = (settings: Partial<LinkSettings>) => LinkFixture;

const testChain = 'c'.repeat(64);

/** A new key in a role. */
export function newIdentity(role: LinkIdentity['role'], chain = testChain): LinkIdentity {
  return { chain, role, signer: createSigner(toHex(randomBytes(32))) };
}

/** Answers every call with its own body, and takes notices in silence. */
export const echoHandler: LinkHandler = {
  async call({ header, body }) {
    return { header, body: await body.bytes(1 << 20) };
  },
  notice: () => undefined,
};

/** One listener and those who dial it; everything ends with `close`. */
export class World {
  readonly fixture: LinkFixture;
  readonly identity = newIdentity('super-node');
  readonly #listeners: LinkListener[] = [];
  readonly #links: Link[] = [];
  readonly #pipes: MessagePipe[] = [];

  constructor(makeFixture: MakeLinkFixture, settings: Partial<LinkSettings> = {}) {
    this.fixture = makeFixture(settings);
  }

  async listen(options: Partial<ListenOptions> = {}): Promise<LinkListener> {
    const defaults: ListenOptions = { identity: this.identity, handler: echoHandler, authorize: () => undefined, onLink: () => undefined };
    const listener = await this.fixture.transport.listen({ ...defaults, ...options });
    this.#listeners.push(listener);
    return listener;
  }

  async dial(address: string, options: Partial<DialOptions> = {}): Promise<Link> {
    const defaults: DialOptions = { identity: newIdentity('node'), handler: echoHandler, peerKey: this.identity.signer.publicKey };
    const link = await this.fixture.transport.dial(address, { ...defaults, ...options });
    this.#links.push(link);
    return link;
  }

  /** Both ends of one link. */
  async link(listening: LinkHandler = echoHandler, dialling: LinkHandler = echoHandler): Promise<{ dialled: Link; accepted: Link }> {
    const accepted = Promise.withResolvers<Link>();
    const { address } = await this.listen({ handler: listening, onLink: accepted.resolve });
    const dialled = await this.dial(address, { handler: dialling });
    return { dialled, accepted: await accepted.promise };
  }

  /** A link whose dialler sends whatever frames the test likes, after an honest handshake. */
  async hostile(handler: LinkHandler = echoHandler): Promise<{ raw: RawPeer; link: Link }> {
    const accepted = Promise.withResolvers<Link>();
    const { address } = await this.listen({ handler, onLink: accepted.resolve });
    const { pipe, exporter } = await this.open(address);
    await dialHandshake(pipe, this.identity.signer.publicKey, { identity: newIdentity('node'), exporter });
    const raw = new RawPeer(pipe);
    return { raw, link: await accepted.promise };
  }

  /** A pipe before the handshake. */
  async open(address: string): Promise<{ readonly pipe: MessagePipe; readonly exporter: Hex32 }> {
    const opened = await this.fixture.openPipe(address);
    this.#pipes.push(opened.pipe);
    return opened;
  }

  async close(): Promise<void> {
    for (const pipe of this.#pipes) pipe.destroy();
    await Promise.all(this.#links.map((link) => link.close()));
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }
}
