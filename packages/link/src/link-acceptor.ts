import { asOrbError, OrbError, type Hex32 } from '@orb/protocol';
import { Connection } from './connection.ts';
import { listenHandshake, refuse } from './handshake.ts';
import type { LinkSettings } from './link-limits.ts';
import type { MessagePipe } from './message-pipe.ts';
import type { Link, LinkPeer, ListenOptions } from './port.ts';

/** Turns pipes that come in into links: the same for every transport. */
export class LinkAcceptor {
  readonly links: ReadonlySet<Link>;
  readonly #links = new Set<Link>();
  readonly #pipes = new Set<MessagePipe>();
  readonly #options: ListenOptions;
  readonly #settings: Partial<LinkSettings>;
  #closed = false;

  constructor(options: ListenOptions, settings: Partial<LinkSettings>) {
    this.links = this.#links;
    this.#options = options;
    this.#settings = settings;
  }

  /**
   * Shakes hands and links. Resolves, never rejects, with the link or with nothing when it came to none; then the pipe
   * is closed.
   */
  async accept(pipe: MessagePipe, exporter: Hex32): Promise<Link | undefined> {
    if (this.#closed) {
      pipe.destroy();
      return undefined;
    }
    this.#pipes.add(pipe);
    try {
      const peer = await listenHandshake(pipe, { identity: this.#options.identity, exporter });
      await this.#authorize(peer, pipe);
      return this.#link(peer, pipe);
    } catch {
      // The other side has been told why; whoever knocks at this door is no news.
      pipe.close();
      return undefined;
    } finally {
      this.#pipes.delete(pipe);
    }
  }

  /** Ends handshakes and links. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const pipe of this.#pipes) pipe.destroy();
    const reason = new OrbError('link-closed', { message: 'The other side of the link is stopping.' });
    await Promise.all([...this.#links].map((link) => link.close(reason)));
  }

  async #authorize(peer: LinkPeer, pipe: MessagePipe): Promise<void> {
    try {
      await this.#options.authorize(peer);
      if (this.#closed) throw new OrbError('link-refused', { message: 'The other side is stopping.' });
    } catch (error) {
      refuse(pipe, asOrbError(error));
      throw error;
    }
  }

  #link(peer: LinkPeer, pipe: MessagePipe): Link {
    const link = new Connection({ peer, handler: this.#options.handler, dialled: false, settings: this.#settings }, pipe);
    this.#links.add(link);
    void link.closed.then(() => this.#links.delete(link));
    try {
      this.#options.onLink(link);
    } finally {
      // Also when it throws: the link must learn that its pipe is closed.
      link.start();
    }
    return link;
  }
}
