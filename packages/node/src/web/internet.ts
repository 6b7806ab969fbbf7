import { Resolver } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';

/** The network as this computer sees it. */
export interface Internet {
  /** All addresses of a name, IPv4 first. @throws Error when there are none */
  resolve(host: string): Promise<readonly string[]>;
  /** The networks that this computer is a part of, in CIDR notation. */
  localNetworks(): readonly string[];
  /** Where an address is really dialled: elsewhere only in tests, whose servers are on this computer. */
  dial?(address: string, port: number): { readonly host: string; readonly port: number };
}

const lookUpMs = 3_000;

/** The real one. */
export class SystemInternet implements Internet {
  // Not getaddrinfo: that takes one of libuv's few threads for as long as a name server likes.
  readonly #resolver = new Resolver({ timeout: lookUpMs, tries: 2 });

  async resolve(host: string): Promise<readonly string[]> {
    const found = await Promise.allSettled([this.#resolver.resolve4(host), this.#resolver.resolve6(host)]);
    const addresses = found.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
    const [first] = found;
    if (addresses.length === 0 && first.status === 'rejected') throw first.reason;
    return addresses;
  }

  localNetworks(): readonly string[] {
    return Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.flatMap(({ cidr }) => cidr ?? []));
  }
}
