import {
  asOrbError,
  checkPresence,
  decodeSeeds,
  isHex32,
  OrbError,
  parseReceived,
  parseWith,
  presenceListBytes,
  signedPresenceSchema,
  stateKeys,
  superNodeId,
  type ChainId,
  type Hex32,
  type SuperNodeRecord,
} from '@orb/protocol';
import type { IncomingCall, Link, LinkHandler, LinkPeer, OutgoingAnswer } from '@orb/link';
import type { Ledger } from '@orb/ledger';
import type { BlobStore } from '@orb/store';
import type { Log } from '../log.ts';
import type { FunctionRegistry } from '../registry/function-registry.ts';
import type { PeerRegistry, PeerSession } from './peer-registry.ts';
import { serveForward, type ServeForwardDependencies } from './serve-forward.ts';

export interface PeerLinksDependencies extends ServeForwardDependencies {
  readonly chain: ChainId;
  readonly ledger: Ledger;
  readonly peers: PeerRegistry;
  readonly functions: FunctionRegistry;
  readonly store: BlobStore;
  readonly log: Log;
  /** Peers came, went or have other places now: waiting calls may fit. */
  onChange(): void;
  onPeerUp(session: PeerSession): void;
}

/** This super node's side of its links with others: who may link, and what is answered. */
export class PeerLinks implements LinkHandler {
  readonly #deps: PeerLinksDependencies;
  readonly #sessions = new Map<Link, PeerSession>();
  readonly #records = new Map<Hex32, SuperNodeRecord>();

  constructor(dependencies: PeerLinksDependencies) {
    this.#deps = dependencies;
  }

  /** Only super nodes that are on the ledger, with their bond. @throws OrbError `link-refused` */
  async authorize({ key }: Pick<LinkPeer, 'key'>): Promise<void> {
    const record = (await this.#deps.ledger.get(stateKeys.superNode(superNodeId(key)))) as unknown as SuperNodeRecord | undefined;
    if (!record) throw new OrbError('link-refused', { message: 'This super node is not registered on the ledger.' });
    this.#records.set(key, record);
  }

  /** A link of either direction is up. */
  opened(link: Link): void {
    const record = this.#records.get(link.peer.key);
    if (!record) return void link.close(new OrbError('link-refused', { message: 'This super node is not registered.' }));
    const { session, older } = this.#deps.peers.add(record, link);
    this.#sessions.set(link, session);
    if (older) void older.link.close(new OrbError('link-closed', { message: 'The super node has opened a newer link.' }));
    this.#deps.log.info('super node linked', { superNode: session.id, gateway: session.label });
    void link.closed.then((reason) => this.#closed(session, reason));
    this.#deps.onPeerUp(session);
  }

  async call(call: IncomingCall, link: Link): Promise<OutgoingAnswer> {
    const session = this.#session(link);
    if (call.method === 'forward') return this.#deps.calls.arrivals.inTurn(session.id, () => serveForward(call, session, this.#deps));
    if (call.method === 'presence') return { header: { known: await this.#takePresence(call, session) } };
    if (call.method === 'fetch-code') return this.#sendCode(call.header);
    throw new OrbError('not-supported', { message: `A super node does not answer ${call.method.slice(0, 32)} to another.` });
  }

  notice(method: string, header: unknown, link: Link): void {
    if (method !== 'received') return;
    const session = this.#sessions.get(link);
    if (!session) return;
    const { job, received } = parseReceived(header);
    this.#deps.answersOut.word(session, job, received);
  }

  #session(link: Link): PeerSession {
    const session = this.#sessions.get(link);
    if (!session) throw new OrbError('link-closed', { message: 'This link is over.' });
    return session;
  }

  #closed(session: PeerSession, reason: OrbError | undefined): void {
    this.#sessions.delete(session.link);
    this.#deps.peers.remove(session);
    this.#deps.answersOut.peerGone(session);
    this.#deps.log.info('super node gone', { superNode: session.id, gateway: session.label, reason: reason?.message });
    this.#deps.onChange();
  }

  /** @returns whether the list that the presence names is here now */
  async #takePresence({ header, body }: IncomingCall, session: PeerSession): Promise<boolean> {
    const { peers, chain } = this.#deps;
    const bytes = body.complete ?? (await body.bytes(presenceListBytes));
    try {
      const signed = parseWith(signedPresenceSchema, header, 'presence', 'protocol-violation');
      const { presence } = signed;
      checkPresence(signed, { chain, superNode: session.id, key: session.link.peer.key, after: peers.lastSequence(session.id) });
      const known = presence.seeds === session.presence?.seeds;
      if (!known && bytes.byteLength === 0 && presence.seeds !== emptyList) return false;
      peers.believe(session, presence, known ? undefined : decodeSeeds(bytes, presence.seeds));
    } catch (error) {
      this.#blame(session, asOrbError(error));
      throw error;
    }
    this.#deps.onChange();
    return true;
  }

  #blame(session: PeerSession, error: OrbError): void {
    this.#deps.log.warn('super node broke the protocol', { superNode: session.id, code: error.code, message: error.message });
    this.#deps.peers.distrust(session.id);
    void session.link.close(error);
  }

  /** Code of functions on the ledger, for a super node whose nodes are to seed it. */
  async #sendCode(header: unknown): Promise<OutgoingAnswer> {
    const sha256 = (header as { sha256?: unknown } | null)?.sha256;
    if (typeof sha256 !== 'string' || !isHex32(sha256))
      throw new OrbError('invalid-request', { message: 'Code is asked for by its SHA-256.' });
    const code = this.#deps.functions.usesCode(sha256) ? await this.#deps.store.get(sha256) : undefined;
    if (!code) throw new OrbError('not-found', { message: `The code ${sha256.slice(0, 12)}… is not held here.` });
    return { header: {}, body: code };
  }
}

/** SHA-256 of no bytes: the list of a super node without seeders. */
const emptyList = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
