import { keepLinked, type KeptLink, type Link, type LinkHandler, type LinkIdentity, type LinkTransport } from '@orb/link';
import type { Hex32, OrbError } from '@orb/protocol';
import type { NodeLog } from './lent-node.ts';

/** A super node to work for. */
export interface SuperNodeAddress {
  /** `wss://…` */
  readonly address: string;
  /** The key that it must prove. */
  readonly key: Hex32;
}

export interface SuperLinksOptions {
  readonly superNodes: readonly SuperNodeAddress[];
  readonly identity: LinkIdentity;
}

export interface SuperLinksDependencies {
  readonly transport: LinkTransport;
  readonly handler: LinkHandler & { linkUp(link: Link): void };
  readonly log: NodeLog;
}

/** How one super node is reached now. */
export interface SuperLinkState extends SuperNodeAddress {
  readonly link: Link | undefined;
  /** Why there is no link; undefined while there is one, and before the first attempt has ended. */
  readonly lastError: string | undefined;
}

/** Keeps this node linked to each of its super nodes; the loss of one does not touch the others. */
export class SuperLinks {
  readonly #kept: { readonly to: SuperNodeAddress; readonly kept: KeptLink }[];
  readonly #errors = new Map<Hex32, OrbError>();

  constructor({ superNodes, identity }: SuperLinksOptions, { transport, handler, log }: SuperLinksDependencies) {
    this.#kept = superNodes.map((to) => {
      const onUp = (link: Link) => {
        this.#errors.delete(to.key);
        handler.linkUp(link);
      };
      const onDown = (reason: OrbError, retryInMs: number) => {
        // The same reason again and again is said once.
        if (this.#errors.get(to.key)?.message !== reason.message)
          log('warn', `No link to ${to.address}: ${reason.message} Trying again in ${Math.ceil(retryInMs / 1000)} s.`);
        this.#errors.set(to.key, reason);
      };
      return { to, kept: keepLinked({ address: to.address, peerKey: to.key, identity, handler, onUp, onDown }, { transport }) };
    });
  }

  get states(): SuperLinkState[] {
    return this.#kept.map(({ to, kept }) => ({
      ...to,
      link: kept.link,
      lastError: kept.link ? undefined : this.#errors.get(to.key)?.message,
    }));
  }

  /** Closes all links, and dials no more. */
  async stop(): Promise<void> {
    await Promise.all(this.#kept.map(({ kept }) => kept.stop()));
  }
}
