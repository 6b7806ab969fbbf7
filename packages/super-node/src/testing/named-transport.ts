import { MemoryTransport } from '@orb/link/memory';
import type { DialOptions, Link, LinkListener, LinkTransport, ListenOptions } from '@orb/link';
import { OrbError } from '@orb/protocol';

/** One super node's end of a memory transport that others dial by an address as the ledger takes it: `wss://NAME.test:1`. */
export class NamedTransport implements LinkTransport {
  readonly #name: string;
  readonly #shared: SharedNames;

  constructor(name: string, shared: SharedNames) {
    this.#name = name;
    this.#shared = shared;
  }

  async listen(options: ListenOptions): Promise<LinkListener> {
    const listener = await this.#shared.transport.listen(options);
    const address = `wss://${this.#name}.test:1`;
    this.#shared.addresses.set(address, listener.address);
    return { address, links: listener.links, close: () => listener.close() };
  }

  dial(address: string, options: DialOptions): Promise<Link> {
    const known = this.#shared.addresses.get(address);
    if (known === undefined) throw new OrbError('link-closed', { message: `Nobody listens at ${address}.` });
    return this.#shared.transport.dial(known, options);
  }
}

/** What the ends of one network share. */
export class SharedNames {
  readonly transport = new MemoryTransport();
  readonly addresses = new Map<string, string>();
}
