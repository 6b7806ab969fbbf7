import {
  asOrbError,
  decodeReplicas,
  fetchingSchema,
  limits,
  nodeId,
  offerSchema,
  OrbError,
  parseWith,
  signedRootSchema,
  jobNoticeSchema,
  logsSchema,
  stateKeys,
  type FunctionId,
  type Hex32,
  type JobId,
  type NodeRecord,
  type Offer,
  type ReplicaId,
} from '@orb/protocol';
import { z } from 'zod';
import type { IncomingCall, Link, LinkHandler, LinkPeer, OutgoingAnswer } from '@orb/link';
import type { Ledger } from '@orb/ledger';
import type { Log } from '../log.ts';
import type { FunctionRegistry } from '../registry/function-registry.ts';
import type { NodeRegistry, NodeSession } from '../registry/node-registry.ts';
import type { SecretRelay } from '../secrets/secret-relay.ts';
import type { Settlement } from '../settlement/settlement.ts';
import type { LogBook } from '../logs/log-book.ts';
import { sourceOf } from '../logs/log-source.ts';
import type { Dispatches } from './dispatches.ts';

export interface NodeLinksDependencies {
  readonly ledger: Ledger;
  /** Code by its hash, from wherever it is held. */
  fetchCode(sha256: Hex32): Promise<Uint8Array | undefined>;
  readonly functions: FunctionRegistry;
  readonly nodes: NodeRegistry;
  readonly settlement: Settlement;
  readonly dispatches: Dispatches;
  readonly logs: LogBook;
  readonly log: Log;
  readonly nowMs: () => number;
  readonly secrets: SecretRelay;
  /** Nodes came, went or changed. */
  onChange(): void;
  /** A function on a node calls another. */
  nestedCall(call: IncomingCall, session: NodeSession): Promise<OutgoingAnswer>;
  onNodeUp(session: NodeSession): void;
  onNodeDown(session: NodeSession): void;
  /** A node holds these no longer, of its own will. */
  onDropped(replicas: readonly ReplicaId[]): void;
  /** A node holds versions of a function that has ended. */
  onEnded(session: NodeSession, fn: FunctionId): void;
}

const fetchCodeSchema = z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const idBytes = 32;

/** The super node's side of every node's link: who may link, what nodes offer, fetch and sign. */
export class NodeLinks implements LinkHandler {
  readonly #deps: NodeLinksDependencies;
  readonly #sessions = new Map<Link, NodeSession>();
  readonly #records = new Map<Hex32, NodeRecord>();

  constructor(dependencies: NodeLinksDependencies) {
    this.#deps = dependencies;
  }

  /** Only nodes that an account has certified on the ledger. @throws OrbError `link-refused` */
  async authorize({ key }: LinkPeer): Promise<void> {
    const record = (await this.#deps.ledger.get(stateKeys.node(nodeId(key)))) as unknown as NodeRecord | undefined;
    if (!record)
      throw new OrbError('link-refused', {
        message: 'This node is not registered on the ledger.',
        hint: 'Register it: orb node start does so.',
      });
    if (record.retired) throw new OrbError('link-refused', { message: 'This node has been retired by its account.' });
    this.#records.set(key, record);
  }

  /** A link is up; the node becomes a session with its first offer. */
  opened(link: Link): void {
    void link.closed.then((reason) => {
      const session = this.#sessions.get(link);
      this.#sessions.delete(link);
      if (!session) return;
      this.#deps.nodes.remove(session);
      this.#deps.log.info('node gone', { node: session.id, label: session.label, reason: reason?.message });
      this.#deps.onNodeDown(session);
      this.#deps.onChange();
    });
  }

  async call(call: IncomingCall, link: Link): Promise<OutgoingAnswer> {
    const { method, header } = call;
    if (method === 'offer') return { header: await this.#takeOffer(parseWith(offerSchema, header, 'offer'), call, link) };
    if (method === 'fetch-code') return this.#sendCode(parseWith(fetchCodeSchema, header, 'fetch-code').sha256, this.#session(link));
    if (method === 'call') return this.#deps.nestedCall(call, this.#session(link));
    throw new OrbError('not-supported', { message: `A super node does not answer ${method.slice(0, 32)}.` });
  }

  notice(method: string, header: unknown, link: Link): void {
    const session = this.#sessions.get(link);
    if (!session) return;
    try {
      if (method === 'setting-up' || method === 'started') {
        this.#deps.dispatches.markStarted(session.id, parseWith(jobNoticeSchema, header, method).job, method === 'started');
      } else if (method === 'logs') {
        const own = (job: JobId) => this.#deps.dispatches.find(session.id, job);
        this.#deps.logs.take(session.id, parseWith(logsSchema, header, method), (job) => sourceOf(own(job)));
      } else if (method === 'fetching') {
        const progress = parseWith(fetchingSchema, header, method);
        for (const listen of session.fetching) listen(progress);
      } else if (method === 'receipts') {
        this.#deps.settlement
          .takeRoot(session, parseWith(signedRootSchema, header, 'root'))
          .catch((error: unknown) => this.#blame(session, error));
      }
    } catch (error) {
      this.#blame(session, error);
    }
  }

  /** A node that signs what it did not send gets no more work on this link; what it sent stays in the journal. */
  #blame(session: NodeSession, cause: unknown): void {
    const error = asOrbError(cause);
    if (error.code === 'link-closed') return;
    this.#deps.log.warn('node broke the protocol', { node: session.id, code: error.code, message: error.message });
    void session.link.close(error);
  }

  #session(link: Link): NodeSession {
    const session = this.#sessions.get(link);
    if (!session) throw new OrbError('protocol-violation', { message: 'A node must send its offer first.' });
    return session;
  }

  async #takeOffer(offer: Offer, { body }: IncomingCall, link: Link): Promise<{ settledBatch: number; timeMs: number }> {
    const listed = offer.replicas === undefined ? undefined : (body.complete ?? (await body.bytes(limits.nodeReplicas * idBytes)));
    const held = listed ? decodeReplicas(listed, offer.replicas!) : this.#ofVersions(offer.seeds);
    const known = this.#sessions.get(link);
    const session = known ?? this.#startSession(offer, link);
    if (known && lendsOther(known.offer, offer)) queueMicrotask(() => this.#deps.onNodeUp(session));
    this.#deps.nodes.changeOffer(session, offer);
    this.#takeSeeds(session, held);
    this.#deps.secrets.offered(session);
    this.#endSeeds(session);
    this.#deps.onChange();
    return { settledBatch: this.#deps.settlement.settledBatch(session.id), timeMs: this.#deps.nowMs() };
  }

  #startSession(offer: Offer, link: Link): NodeSession {
    const record = this.#records.get(link.peer.key);
    if (!record) throw new OrbError('link-refused', { message: 'This node is not registered.' });
    const session: NodeSession = {
      id: record.id,
      account: record.account,
      label: record.label,
      link,
      connectedAtMs: this.#deps.nowMs(),
      offer,
      held: new Set(),
      seeds: new Set(),
      asked: new Set(),
      fetching: new Set(),
      fits: new Map(),
      active: 0,
      answerMs: undefined,
      reliability: 1,
    };
    this.#sessions.set(link, session);
    const older = this.#deps.nodes.add(session);
    if (older) void older.link.close(new OrbError('link-closed', { message: 'The node has opened a newer link.' }));
    this.#deps.log.info('node linked', { node: session.id, label: session.label, slots: offer.slots });
    queueMicrotask(() => this.#deps.onNodeUp(session));
    return session;
  }

  /** A node of the version before names versions alone: it counts for every function that has them, and refuses what is another's. */
  #ofVersions(versions: readonly string[]): ReplicaId[] {
    return versions
      .slice(0, limits.nodeReplicas)
      .flatMap((version) => this.#deps.functions.withVersion(version).map(({ replica }) => replica));
  }

  #takeSeeds(session: NodeSession, replicas: readonly ReplicaId[]): void {
    const { functions, nodes, secrets } = this.#deps;
    // One string for all nodes that hold the same.
    session.held = new Set(replicas.map((replica) => functions.replica(replica)?.replica ?? replica));
    const ready = new Set([...session.held].filter((replica) => secrets.isReady(session, replica)));
    const dropped = [...session.seeds].filter((replica) => !ready.has(replica));
    for (const replica of dropped) nodes.markDropped(session, replica);
    if (dropped.length > 0) this.#deps.onDropped(dropped);
    for (const replica of ready) if (!session.seeds.has(replica)) nodes.markSeeding(session, replica);
  }

  /** Whoever was away when a function ended has not heard of it. */
  #endSeeds(session: NodeSession): void {
    const ended = new Set<FunctionId>();
    for (const replica of session.held) {
      const fn = this.#deps.functions.replica(replica)?.function;
      if (fn !== undefined && this.#deps.functions.get(fn)?.record.state === 'decommissioned') ended.add(fn);
    }
    for (const fn of ended) this.#deps.onEnded(session, fn);
  }

  async #sendCode(sha256: Hex32, session: NodeSession): Promise<OutgoingAnswer> {
    if (!session.asked.has(sha256)) throw new OrbError('forbidden', { message: 'A node may fetch only code that it was asked to seed.' });
    const code = await this.#deps.fetchCode(sha256);
    if (!code) throw new OrbError('not-found', { message: `No super node that is linked holds the code ${sha256.slice(0, 12)}….` });
    return { header: {}, body: code };
  }
}

/** Whether a node lends something else than before: what did not fit it may do so now. */
function lendsOther(before: Offer, now: Offer): boolean {
  const lent = ({ seeds: _, replicas: __, lastBatch: ___, ...rest }: Offer) => JSON.stringify(rest);
  return lent(before) !== lent(now);
}
