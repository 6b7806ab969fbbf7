import type { ChainId, Signer, SuperNodeId } from '@orb/protocol';
import type { Ledger, RecordWrite } from '@orb/ledger';
import type { LinkTransport } from '@orb/link';
import type { BlobStore } from '@orb/store';
import type { SignedAccess } from '../gateway/signed-access.ts';
import type { CallContext } from '../steps/call-context.ts';
import { AnswersOut } from './answers-out.ts';
import { KeepPeers } from './keep-peers.ts';
import { PeerLinks } from './peer-links.ts';
import { PresenceTeller } from './presence-teller.ts';

export interface PeerSideOptions {
  readonly chain: ChainId;
  readonly superNode: SuperNodeId;
  readonly signer: Signer;
}

export interface PeerSideDependencies {
  readonly ledger: Ledger;
  readonly store: BlobStore;
  readonly transport: LinkTransport;
  readonly calls: CallContext;
  readonly signedAccess: SignedAccess;
}

/** Everything between this super node and the others. */
export class PeerSide {
  readonly links: PeerLinks;
  readonly #answersOut: AnswersOut;
  readonly #presence: PresenceTeller;
  readonly #keep: KeepPeers;

  constructor(options: PeerSideOptions, { ledger, store, transport, calls, signedAccess }: PeerSideDependencies) {
    const { chain, signer } = options;
    const { nodes, peers, scheduler, dispatches, functions, log, nowMs } = calls;
    this.#answersOut = new AnswersOut({ nowMs });
    const load = () => ({ running: dispatches.size, waiting: scheduler.waiting });
    this.#presence = new PresenceTeller(options, { nodes, functions, peers, load, nowMs });
    this.links = new PeerLinks({
      chain,
      ledger,
      store,
      peers,
      functions,
      log,
      calls,
      signedAccess,
      answersOut: this.#answersOut,
      onChange: () => scheduler.nodesChanged(),
      onPeerUp: (session) => void this.#presence.tell(session),
    });
    const identity = { chain, role: 'super-node', signer } as const;
    this.#keep = new KeepPeers({ identity }, { ledger, transport, peerLinks: this.links, log });
  }

  /** Links to those that are on the ledger now; {@link apply} takes those that come later. */
  start(): Promise<void> {
    return this.#keep.load();
  }

  apply(event: RecordWrite): void {
    this.#keep.apply(event);
  }

  /** Nodes came, went or changed: what others are told may be different now. */
  nodesChanged(): void {
    this.#presence.nodesChanged();
  }

  /** Called once a second. */
  endLateAnswers(): void {
    this.#answersOut.endLate();
  }

  async stop(): Promise<void> {
    this.#presence.stop();
    await this.#keep.stop();
  }
}
