import type { IncomingCall, Link, LinkHandler, OutgoingAnswer } from '@orb/link';
import {
  asOrbError,
  encodeReplicas,
  hex32,
  isOrbError,
  offerAnswerSchema,
  OrbError,
  parseWith,
  sequence,
  signedRootSchema,
  unsettledRequestSchema,
  utf8,
  type ChainId,
  type FunctionId,
  type Hex32,
  type NodeId,
  type Offer,
  type SignedRoot,
} from '@orb/protocol';
import { z } from 'zod';
import type { Lending } from './offer/lending.ts';
import { makeOffer, type OfferFacts } from './offer/make-offer.ts';
import { LinkSession } from './link-session.ts';
import type { EvidenceLog } from './receipts/evidence-log.ts';
import { dropVersion } from './seeding/drop-version.ts';
import type { SecretShelf } from './secrets/secret-shelf.ts';
import { takeSecrets } from './secrets/take-secrets.ts';
import type { SeedShelf } from './seeding/seed-shelf.ts';
import type { Seeding } from './seeding/seeding.ts';
import { serveJob, type JobRoom } from './serve-job.ts';
import type { SuperNodeAccount } from './super-node-account.ts';

export interface LentNodeOptions {
  readonly chain: ChainId;
  readonly id: NodeId;
}

export interface LentNodeDependencies extends JobRoom {
  /** What this computer can do now. */
  readonly facts: () => OfferFacts;
  readonly lending: Lending;
  readonly shelf: SeedShelf;
  readonly seeding: Seeding;
  /** Undefined where the node's key cannot open what is sealed to it. */
  readonly secrets: SecretShelf | undefined;
  readonly evidence: EvidenceLog;
  /** The super nodes this node works for, by key. */
  readonly accounts: ReadonlyMap<Hex32, SuperNodeAccount>;
  readonly nowMs: () => number;
  /** A super node says that a function's seeders are challenged. */
  challenged(superNode: Hex32, fn: FunctionId): void;
  readonly log: NodeLog;
}

/** Tells the owner something in words. */
export type NodeLog = (level: 'info' | 'warn', message: string) => void;

const settledSchema = z.strictObject({ batch: sequence });
const challengeSchema = z.object({ function: hex32 });

/** What this node says and answers on its links. */
export class LentNode implements LinkHandler {
  readonly #options: LentNodeOptions;
  readonly #d: LentNodeDependencies;
  readonly #sessions = new Map<Link, LinkSession>();
  readonly #offering = new Map<LinkSession, 'once' | 'again'>();
  readonly #answers = new Map<LinkSession, Promise<void>>();

  constructor(options: LentNodeOptions, dependencies: LentNodeDependencies) {
    this.#options = options;
    this.#d = dependencies;
    dependencies.lending.onChange(() => this.offerAll());
    dependencies.shelf.onChange(() => this.offerAll());
    dependencies.secrets?.onChange(() => this.offerAll());
  }

  /** Live links. */
  get sessions(): Iterable<LinkSession> {
    return this.#sessions.values();
  }

  /** What is offered now. */
  offer(account: SuperNodeAccount): Offer {
    const { lending, shelf } = this.#d;
    const versions = Array.from(shelf.versions, ({ version }) => version);
    return makeOffer(this.#d.facts(), lending, { versions, secrets: this.#d.secrets?.numbers }, account.book.lastBatch);
  }

  /** A link is up: offers what this node has, and then the roots that are not settled. */
  linkUp(link: Link): void {
    const session = this.#session(link);
    this.#d.log('info', `Linked to super node ${session.account.id.slice(0, 12)} at ${link.peer.address}.`);
    this.#offer(session);
  }

  /** Offers again over every link. */
  offerAll(): void {
    for (const session of this.#sessions.values()) this.#offer(session);
  }

  /** A batch is signed: its root goes over every link to its super node. */
  rootSigned(superNodeKey: Hex32): void {
    for (const session of this.#sessions.values()) if (session.account.key === superNodeKey) session.sendRoots();
  }

  async call(call: IncomingCall, link: Link): Promise<OutgoingAnswer> {
    const session = this.#session(link);
    switch (call.method) {
      case 'run':
        return serveJob(call, session, this.#d);
      case 'seed':
        return { header: await this.#d.seeding.answer(call.header, link) };
      case 'secrets':
        return { header: await takeSecrets(call, this.#options.chain, this.#d) };
      case 'unsettled':
        return this.#unsettled(call.header, session);
      default:
        throw new OrbError('not-supported', { message: `A node has no answer to ${JSON.stringify(call.method.slice(0, 64))}.` });
    }
  }

  notice(method: string, header: unknown, link: Link): void {
    try {
      const session = this.#session(link);
      if (method === 'tickets') this.#ticketRoot(parseWith(signedRootSchema, header, 'tickets'), session);
      else if (method === 'settled') this.#settled(parseWith(settledSchema, header, 'settled').batch, session);
      else if (method === 'challenge') this.#d.challenged(session.account.key, parseWith(challengeSchema, header, 'challenge').function);
      else if (method === 'drop') void this.#drop(header);
    } catch (error) {
      this.#d.log('warn', `Super node ${link.peer.address} sent a bad ${method.slice(0, 64)}: ${asOrbError(error).message}`);
    }
  }

  #session(link: Link): LinkSession {
    const known = this.#sessions.get(link);
    if (known) return known;
    const account = link.peer.role === 'super-node' ? this.#d.accounts.get(link.peer.key) : undefined;
    if (!account) throw new OrbError('link-refused', { message: 'This node does not work for that super node.' });
    const session = new LinkSession(link, account, { chain: this.#options.chain, node: this.#options.id }, this.#d.nowMs());
    this.#sessions.set(link, session);
    void link.closed.then((reason) => this.#linkDown(session, reason));
    return session;
  }

  #linkDown(session: LinkSession, reason: OrbError | undefined): void {
    this.#sessions.delete(session.link);
    this.#d.log('warn', `The link to super node ${session.account.id.slice(0, 12)} has ended${reason ? `: ${reason.message}` : '.'}`);
  }

  /** Resolves when every super node that is linked has taken the newest offer, or its link has ended. */
  async offersTaken(): Promise<void> {
    while (this.#offering.size > 0) await Promise.all(this.#answers.values());
  }

  /** One offer at a time per link; changes that come meanwhile are in the next. */
  #offer(session: LinkSession): void {
    if (this.#offering.has(session)) {
      this.#offering.set(session, 'again');
      return;
    }
    this.#offering.set(session, 'once');
    const answered = this.#sendOffer(session).finally(() => {
      const again = this.#offering.get(session) === 'again';
      this.#offering.delete(session);
      this.#answers.delete(session);
      if (again && this.#sessions.has(session.link)) this.#offer(session);
    });
    this.#answers.set(session, answered);
  }

  async #sendOffer(session: LinkSession): Promise<void> {
    try {
      const sentMs = this.#d.nowMs();
      const replicas = encodeReplicas(Array.from(this.#d.shelf.versions, ({ replica }) => replica));
      const answer = await session.link.call('offer', this.offer(session.account), replicas);
      const { settledBatch, timeMs } = parseWith(offerAnswerSchema, answer.header, 'offer answer');
      session.clockAheadMs = Math.round((sentMs + this.#d.nowMs()) / 2 - timeMs);
      session.openRoots(settledBatch);
    } catch (error) {
      if (isOrbError(error) && error.code === 'link-closed') return;
      const reason = asOrbError(error);
      this.#d.log('warn', `Super node ${session.account.id.slice(0, 12)} did not take this node’s offer: ${reason.message}`);
      // Without an answered offer the link is of no use: a new one starts afresh.
      void session.link.close(reason);
    }
  }

  async #unsettled(header: unknown, session: LinkSession): Promise<OutgoingAnswer> {
    const { batch } = parseWith(unsettledRequestSchema, header, 'unsettled');
    return { header: {}, body: utf8(JSON.stringify(await session.book.batch(batch))) };
  }

  #ticketRoot(root: SignedRoot, session: LinkSession): void {
    const check = session.tickets.check(root, session.book.lastTickets);
    if (check.ok) {
      session.book.keepTicketRoot(root, check.tickets);
      return;
    }
    session.wrongRoots++;
    const tickets = check.tickets.map((text) => JSON.parse(text) as unknown);
    this.#d.evidence.keep({
      kind: 'ticket-root',
      atMs: this.#d.nowMs(),
      superNode: session.account.id,
      reason: check.reason,
      root,
      tickets,
    });
    this.#d.log(
      'warn',
      `Super node ${session.account.id.slice(0, 12)} signed a wrong root of tickets: ${check.reason}. The proof is kept; with too many unproven tickets it gets no more work done.`,
    );
  }

  #settled(batch: number, session: LinkSession): void {
    session.book.settle(batch);
    session.sendRoots();
  }

  async #drop(header: unknown): Promise<void> {
    try {
      const gone = await dropVersion(header, this.#options.chain, this.#d.shelf);
      for (const seeded of gone) this.#d.instances.forget(seeded);
    } catch (error) {
      this.#d.log('warn', `A request to drop a version was refused: ${asOrbError(error).message}`);
    }
  }
}
