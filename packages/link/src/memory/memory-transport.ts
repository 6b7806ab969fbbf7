import { OrbError } from '@orb/protocol';
import { dialPipe } from '../dial-pipe.ts';
import { LinkAcceptor } from '../link-acceptor.ts';
import type { LinkSettings } from '../link-limits.ts';
import type { MessagePipe } from '../message-pipe.ts';
import type { DialOptions, Link, LinkListener, LinkTransport, ListenOptions } from '../port.ts';
import { MemoryPipe } from './memory-pipe.ts';

/** There is no TLS inside a process: nobody can stand in the middle. */
const exporter = '0'.repeat(64);

/** Links inside one process, with the real handshake and engine; only those of the same transport reach each other. */
export class MemoryTransport implements LinkTransport {
  readonly #settings: Partial<LinkSettings>;
  readonly #acceptors = new Map<string, LinkAcceptor>();
  #listeners = 0;

  constructor(options: { readonly settings?: Partial<LinkSettings> } = {}) {
    this.#settings = options.settings ?? {};
  }

  listen(options: ListenOptions): Promise<LinkListener> {
    const address = `memory://${++this.#listeners}`;
    const acceptor = new LinkAcceptor(options, this.#settings);
    this.#acceptors.set(address, acceptor);
    const close = async () => {
      this.#acceptors.delete(address);
      await acceptor.close();
    };
    return Promise.resolve({ address, links: acceptor.links, close });
  }

  async dial(address: string, options: DialOptions): Promise<Link> {
    return dialPipe(this.openPipe(address), exporter, options, this.#settings);
  }

  /** A pipe to a listener, before the handshake. @throws OrbError `link-closed` when nobody listens there */
  openPipe(address: string): MessagePipe {
    const acceptor = this.#acceptors.get(address);
    if (acceptor === undefined) throw new OrbError('link-closed', { message: `Nobody listens at ${address}.` });
    const [near, far] = MemoryPipe.pair(address);
    void acceptor.accept(far, exporter);
    return near;
  }
}
