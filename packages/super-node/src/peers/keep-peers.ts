import { isOrbError, superNodeId, type SuperNodeId, type SuperNodeRecord } from '@orb/protocol';
import { keepLinked, type KeptLink, type LinkIdentity, type LinkTransport } from '@orb/link';
import type { Ledger, RecordWrite } from '@orb/ledger';
import type { Log } from '../log.ts';
import type { PeerLinks } from './peer-links.ts';

export interface KeepPeersOptions {
  readonly identity: LinkIdentity;
}

export interface KeepPeersDependencies {
  readonly ledger: Ledger;
  readonly transport: LinkTransport;
  readonly peerLinks: PeerLinks;
  readonly log: Log;
}

/** Links that one super node keeps to others by itself. Beyond it the network needs a smaller graph than all to all. */
const maxDialled = 64;
const keyPrefix = 'super-node/';
/** A newcomer may be on our ledger a moment before it is on the other's. */
const backOff = { firstMs: 100, longestMs: 5_000, refusedMs: 1_000 };

/** Keeps links to the other super nodes on the ledger. Of two, the one with the smaller id dials: a pair has one link. */
export class KeepPeers {
  readonly #options: KeepPeersOptions;
  readonly #deps: KeepPeersDependencies;
  readonly #own: SuperNodeId;
  readonly #kept = new Map<SuperNodeId, { readonly address: string; readonly kept: KeptLink }>();
  readonly #errors = new Map<SuperNodeId, string>();
  #stopped = false;

  constructor(options: KeepPeersOptions, dependencies: KeepPeersDependencies) {
    this.#options = options;
    this.#deps = dependencies;
    this.#own = superNodeId(options.identity.signer.publicKey);
  }

  /** Dials those that are on the ledger now. Call {@link apply} with every later event. */
  async load(): Promise<void> {
    const entries = await this.#deps.ledger.range(keyPrefix, { limit: 1_000 });
    for (const { value } of entries) this.#take(value as unknown as SuperNodeRecord);
  }

  apply(event: RecordWrite): void {
    if (!event.key.startsWith(keyPrefix)) return;
    if (event.value === null) this.#drop(event.key.slice(keyPrefix.length));
    else this.#take(event.value as unknown as SuperNodeRecord);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#kept.values()].map(({ kept }) => kept.stop()));
  }

  #take({ id, key, address }: SuperNodeRecord): void {
    if (this.#stopped || id <= this.#own || this.#kept.get(id)?.address === address) return;
    this.#drop(id);
    if (this.#kept.size >= maxDialled) return;
    const { transport, peerLinks } = this.#deps;
    const kept = keepLinked(
      {
        address,
        peerKey: key,
        identity: this.#options.identity,
        handler: peerLinks,
        backOff,
        onUp: (link) => {
          this.#errors.delete(id);
          void peerLinks.authorize(link.peer).then(
            () => peerLinks.opened(link),
            (error: unknown) => link.close(isOrbError(error) ? error : undefined),
          );
        },
        onDown: (reason) => {
          if (this.#errors.get(id) !== reason.message)
            this.#deps.log.warn('no link to a super node', { superNode: id, address, reason: reason.message });
          this.#errors.set(id, reason.message);
        },
      },
      { transport },
    );
    this.#kept.set(id, { address, kept });
  }

  #drop(id: SuperNodeId): void {
    const kept = this.#kept.get(id);
    this.#kept.delete(id);
    void kept?.kept.stop();
  }
}
