import { MemoryTransport } from '@orb/link/memory';
import type { DialOptions, Link, LinkListener, LinkTransport, ListenOptions } from '@orb/link';
import { OrbError } from '@orb/protocol';

/** One super node's end of a memory transport that others dial by an address as the ledger takes it: `wss://NAME.test:1`. */
export class NamedTransport implements LinkTransport {
  readonly #name: string;
  readonly #shared: SharedNames;
  readonly #links = new Set<Link>();
  #listener: LinkListener | undefined;

  constructor(name: string, shared: SharedNames) {
    this.#name = name;
    this.#shared = shared;
  }

  async listen(options: ListenOptions): Promise<LinkListener> {
    const listener = await this.#shared.transport.listen(options);
    const address = `wss://${this.#name}.test:1`;
    this.#shared.addresses.set(address, listener.address);
    this.#listener = listener;
    return { address, links: listener.links, close: () => listener.close() };
  }

  /** As if the process were gone, for everybody else: nothing goes out or comes in any more. */
  async cut(): Promise<void> {
    this.#shared.addresses.delete(`wss://${this.#name}.test:1`);
    await Promise.all([...this.#links, ...(this.#listener?.links ?? [])].map((link) => link.close()));
  }

  async dial(address: string, options: DialOptions): Promise<Link> {
    const known = this.#shared.addresses.get(address);
    if (known === undefined) throw new OrbError('link-closed', { message: `Nobody listens at ${address}.` });
    const link = await this.#shared.transport.dial(known, options);
    this.#links.add(link);
    return link;
  }
}

/** What the ends of one network share. */
export class SharedNames {
  readonly transport = new MemoryTransport();
  readonly addresses = new Map<string, string>();
}
