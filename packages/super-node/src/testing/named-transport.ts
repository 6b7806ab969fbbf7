import { MemoryTransport } from '@orb/link/memory';
import { WssTransport } from '@orb/link/wss';
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
    this.#listener = listener;
    if (this.#shared.real) return listener;
    const address = `wss://${this.#name}.test:1`;
    this.#shared.addresses.set(address, listener.address);
    return { address, links: listener.links, close: () => listener.close() };
  }

  /** Links that others have made to it. */
  get accepted(): ReadonlySet<Link> {
    return this.#listener?.links ?? new Set();
  }

  /** As if the process were gone, for everybody else: nothing goes out or comes in any more. */
  async cut(): Promise<void> {
    this.#shared.addresses.delete(`wss://${this.#name}.test:1`);
    await Promise.all([...this.#links, ...(this.#listener?.links ?? [])].map((link) => link.close()));
  }

  async dial(address: string, options: DialOptions): Promise<Link> {
    const known = this.#shared.real ? address : this.#shared.addresses.get(address);
    if (known === undefined) throw new OrbError('link-closed', { message: `Nobody listens at ${address}.` });
    const link = await this.#shared.transport.dial(known, options);
    this.#links.add(link);
    return link;
  }
}

/** What the ends of one network share. */
export class SharedNames {
  /** Over sockets of this computer, each super node at the address it has. */
  readonly real: boolean;
  readonly transport: LinkTransport;
  readonly addresses = new Map<string, string>();

  constructor(real = false) {
    this.real = real;
    this.transport = real ? new WssTransport() : new MemoryTransport();
  }
}
