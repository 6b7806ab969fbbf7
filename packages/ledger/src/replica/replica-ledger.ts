import {
  asOrbError,
  type BlockHeader,
  cosignersOf,
  OrbError,
  type OrdererChange,
  parsePrepared,
  type PreparedTransaction,
  type Transaction,
  type TransactionId,
} from '@orb/protocol';
import type { Clock } from '../engine.ts';
import type { Joined } from '../embedded/open-ledger-folder.ts';
import type { Keeping } from '../keeping.ts';
import { KeptLedger, type KeptLedgerOptions } from '../kept-ledger.ts';
import type { Committed } from '../port.ts';
import { Arrivals, notThere } from './arrivals.ts';
import { readPeerSet } from '../finality/peer-set.ts';
import { BackOff, type BackOffOptions } from './back-off.ts';
import { BlockClock, type BlockClockOptions, type OffClock } from './block-clock.ts';
import { refusal, type Evidence, type EvidenceFiles } from './evidence.ts';
import { fillHistory } from './fill-history.ts';
import { examineBlock, type Standpoint, type Verdict } from './examine-block.ts';
import { Refusals } from './refusals.ts';
import type { Upstream } from './upstream.ts';

/** How patient a replica is. */
export interface ReplicaPatience extends BlockClockOptions {
  readonly backOff: BackOffOptions;
  /** How long a submitted transaction that the orderer has taken may need to get here. */
  readonly arrivalMs: number;
  /** How long closing waits for transactions that are under way. */
  readonly closingMs: number;
}

export interface ReplicaOptions extends KeptLedgerOptions, ReplicaPatience {
  readonly clock: Clock;
  /** Why nothing more is accepted, from an earlier run. */
  readonly refused?: Evidence | undefined;
  /** A change of the orderer that has been checked, whose block is not here yet. */
  readonly ahead?: OrdererChange | undefined;
  /** Where it has begun with a snapshot: the blocks before that are fetched, run again and joined to it. */
  readonly joined?: (Joined & { readonly folder: string }) | undefined;
  /** The blocks before the snapshot are there, and have led to it. */
  readonly onWhole?: (() => void) | undefined;
  /** A block was refused. @param file where the evidence is; undefined when the folder holds too much of it */
  readonly onRefused?: ((evidence: Evidence, file: string | undefined) => void) | undefined;
  /** The upstream cannot be reached, or does not answer as one; the replica tries again by itself. */
  readonly onTrouble?: ((error: OrbError) => void) | undefined;
}

/** How a replica stands to its upstream. */
export interface ReplicaStatus {
  readonly state: 'connecting' | 'following' | 'cut-off' | 'refused' | 'closed';
  readonly height: number;
  /** The newest height that the upstream has named or sent. */
  readonly upstreamHeight: number | undefined;
  /** What is in the way, when something is. */
  readonly error: OrbError | undefined;
}

/**
 * A ledger that follows an orderer: runs every block again, keeps what is right, serves reads from its own copy and
 * brings transactions to the orderer. A block that the orderer signed and that is wrong ends it for good; whatever else
 * goes wrong on the way is tried again.
 */
export class ReplicaLedger extends KeptLedger {
  readonly #options: ReplicaOptions;
  readonly #upstream: Upstream;
  readonly #evidence: EvidenceFiles;
  /** What it has refused, or heard of, that proves its orderer wrong. */
  readonly refusals: Refusals;
  readonly #arrivals = new Arrivals();
  readonly #submitting = new Map<TransactionId, Promise<Committed>>();
  readonly #ending = new AbortController();
  /** Ends the following: with the end of all, or when nothing more is accepted. */
  readonly #leaving = new AbortController();
  readonly #following: Promise<void>;
  readonly #filling: Promise<void>;
  readonly #blockClock: BlockClock;
  #state: ReplicaStatus['state'] = 'connecting';
  #error: OrbError | undefined;
  #upstreamHeight: number | undefined;
  #closed: Promise<void> | undefined;
  #ahead: OrdererChange | undefined;

  constructor(
    options: ReplicaOptions,
    dependencies: { readonly keeping: Keeping; readonly upstream: Upstream; readonly evidence: EvidenceFiles },
  ) {
    super(options, dependencies);
    this.#options = options;
    this.#ahead = options.ahead;
    this.#upstream = dependencies.upstream;
    this.#evidence = dependencies.evidence;
    this.#blockClock = new BlockClock(options, options);
    this.refusals = new Refusals({ ledger: this, clock: options.clock, onSecondBlock: (evidence) => this.#keepEvidence(evidence) });
    if (options.refused) this.#refuseFor(options.refused);
    this.#following = this.#followUpstream();
    this.#filling = this.#fillHistory();
  }

  /** The orderer changes, which has been checked: from that height on nothing is taken of an epoch before. */
  expectChange(change: OrdererChange): void {
    if (change.epoch > (this.#ahead?.epoch ?? 0)) this.#ahead = change;
  }

  get status(): ReplicaStatus {
    return { state: this.#state, height: this.head.height, upstreamHeight: this.#upstreamHeight, error: this.#error };
  }

  /**
   * Brings a transaction to the orderer; resolves when this copy has its block.
   * @throws OrbError why the orderer refused it; `ledger-unavailable` when it cannot be reached or the block does not
   * come (submitting again is safe: a transaction counts once); `ledger-corrupt` since a wrong block was refused
   */
  submit(value: Transaction): Promise<Committed> {
    let prepared: PreparedTransaction;
    try {
      if (this.#closed) throw closedError();
      if (this.#state === 'refused') throw this.#error!;
      prepared = parsePrepared(value);
    } catch (error) {
      return Promise.reject(asOrbError(error));
    }
    const known = this.#submitting.get(prepared.id);
    // A copy with a wrong signature must not take the right one down with it.
    if (known) return known.catch(() => this.submit(value));
    const answer = this.#forward(prepared).finally(() => this.#submitting.delete(prepared.id));
    this.#submitting.set(prepared.id, answer);
    return answer;
  }

  /** Waits for what is under way, then stops following and closes. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#options.closingMs);
    await Promise.race([Promise.allSettled(this.#submitting.values()), late]);
    clearTimeout(timer);
    this.#ending.abort();
    this.#leaving.abort();
    this.#arrivals.failAll(closedError());
    await Promise.all([this.#following, this.#filling]);
    this.#state = 'closed';
    await this.closeKeeping();
  }

  async #forward({ id, transaction }: PreparedTransaction): Promise<Committed> {
    const arrived = this.#arrivals.wait(id);
    arrived.catch(() => undefined);
    let timer: NodeJS.Timeout | undefined;
    // In the tick of the call: what is submitted together is to share a block.
    void this.#upstream.submit(transaction, this.#ending.signal).then(
      async ({ height }) => {
        if (!this.#arrivals.expect(id, height)) return;
        timer = setTimeout(() => this.#arrivals.fail(id, lateError(height)), this.#options.arrivalMs);
        // It may have been there before this replica was asked, or before its oldest block.
        if (height < this.oldest) this.#arrivals.fail(id, unavailable(`The transaction is in block ${height}, which is not here yet.`));
        else if (height <= this.head.height && !(await this.keeping.locate(id))) this.#arrivals.fail(id, notThere(id, height));
      },
      (error: unknown) => this.#arrivals.fail(id, asOrbError(error)),
    );
    try {
      const place = await this.keeping.locate(id);
      if (!place) return await arrived;
      this.#arrivals.fail(id, closedError());
      return await this.standing(id, place);
    } finally {
      clearTimeout(timer);
    }
  }

  async #followUpstream(): Promise<void> {
    const { signal } = this.#leaving;
    const backOff = new BackOff(this.#options.backOff);
    // Never inside the constructor: whoever listens may need the ledger.
    await Promise.resolve();
    while (!signal.aborted) {
      try {
        await this.#followOnce(signal, backOff);
      } catch (error) {
        if (!signal.aborted) this.#stumble(asOrbError(error));
      }
      await backOff.wait(signal);
      if (this.#state === 'following') this.#state = 'connecting';
    }
  }

  /** Takes what the upstream sends until it ends or something is wrong. */
  async #followOnce(signal: AbortSignal, backOff: BackOff): Promise<void> {
    this.#upstreamHeight = (await this.#upstream.head(signal)).height;
    if (this.#upstreamHeight < this.head.height) {
      throw unavailable(`The upstream is at block ${this.#upstreamHeight}, behind this copy (block ${this.head.height}).`);
    }
    let troubled = this.#error?.code === 'ledger-corrupt';
    this.#blockClock.begins(this.#upstreamHeight);
    // From the block that is here already: should the orderer have another of that height, it shows.
    for await (const value of this.#upstream.blocks(this.head.height, signal)) {
      if (signal.aborted) return;
      const verdict = await examineBlock(value, this.#standpoint());
      // Another may have shown meanwhile that nothing of this orderer is to be taken any more.
      if (signal.aborted) return;
      if (verdict.kind === 'wrong') return this.#keepEvidence(this.#evidenceOf(value, verdict));
      if (verdict.kind === 'early' || verdict.kind === 'late') throw offClock(verdict, this.#options.clock());
      if (verdict.kind === 'right') {
        await this.#keep(verdict);
        if (signal.aborted) return;
        troubled = false;
      }
      this.#blockClock.asks();
      if (troubled) continue;
      this.#state = 'following';
      this.#error = undefined;
      backOff.reset();
    }
  }

  async #fillHistory(): Promise<void> {
    const { joined, genesis, clock, backOff, onTrouble, onWhole } = this.#options;
    if (!joined) return;
    await Promise.resolve();
    const { chain } = this;
    const before = await fillHistory(
      {
        folder: joined.folder,
        genesis,
        begin: joined.head,
        upstream: this.#upstream,
        backOff,
        onTrouble: (error) => onTrouble?.(error),
        onWrong: (wrong) => {
          const evidence: Evidence = { v: 1, chain, seenAt: clock(), ...wrong };
          // What proves nothing is tried again there.
          this.#keepEvidence(evidence).catch(() => undefined);
        },
      },
      this.#leaving.signal,
    );
    if (!before) return;
    joined.keeping.join(before);
    onWhole?.();
  }

  async #keep({ made, builder }: Extract<Verdict, { kind: 'right' }>): Promise<void> {
    try {
      await this.keeping.append(made);
    } catch (cause) {
      const error = unavailable(`The ledger could not be written: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
      this.#refuse(error);
      this.#options.onTrouble?.(error);
      throw error;
    }
    this.publish(made, builder);
    this.#upstreamHeight = Math.max(this.#upstreamHeight ?? 0, made.block.header.height);
    this.#arrivals.arrived(made);
  }

  #evidenceOf(block: unknown, { height, reason, proven, ours }: Extract<Verdict, { kind: 'wrong' }>): Evidence {
    const { chain, head } = this;
    return { v: 1, chain, height, seenAt: this.#options.clock(), reason, proven, head, ...(ours && { ours }), block };
  }

  async #keepEvidence(evidence: Evidence): Promise<void> {
    // First, so that nothing more gets in whatever the disk does.
    if (evidence.proven) this.#refuseFor(evidence);
    const file = await this.#evidence.keep(evidence);
    this.#options.onRefused?.(evidence, file);
    if (!evidence.proven) throw refusal(evidence);
  }

  #refuseFor(evidence: Evidence): void {
    this.#refuse(refusal(evidence));
    this.refusals.note(evidence);
  }

  /** Nothing more is accepted; what is kept stays readable. */
  #refuse(error: OrbError): void {
    this.#state = 'refused';
    this.#error = error;
    this.#leaving.abort();
    this.#arrivals.failAll(error);
  }

  #stumble(error: OrbError): void {
    this.#state = 'cut-off';
    this.#error = error;
    this.#options.onTrouble?.(error);
  }

  #standpoint(): Standpoint {
    const { genesis, chain, head, state } = this;
    const kept = (height: number) => this.signedHeader(height);
    return { genesis, chain, head, state, kept, ahead: this.#ahead, judgeTime: (header) => this.#judgeTime(header) };
  }

  async #judgeTime(header: BlockHeader): Promise<OffClock | undefined> {
    const off = this.#blockClock.judge(header);
    return off === 'late' && (await this.#isTakenByOthers(header)) ? undefined : off;
  }

  /** Whether it may be this clock, or the way here, that is wrong: enough peers had the block in time, or nobody vouches. */
  async #isTakenByOthers(header: BlockHeader): Promise<boolean> {
    const { peers, needed } = await readPeerSet(this);
    if (peers.length === 0) return true;
    const cosignatures = (await this.#upstream.cosignatures?.(header.height, this.#ending.signal).catch(() => [])) ?? [];
    const signers = cosignersOf(header, cosignatures);
    return peers.filter(({ keys }) => keys.some((key) => signers.has(key))).length >= needed;
  }
}

function unavailable(message: string, cause?: unknown): OrbError {
  return new OrbError('ledger-unavailable', { message, cause });
}

function offClock({ kind, height, time }: Extract<Verdict, { kind: OffClock }>, now: number): OrbError {
  const instant = new Date(time).toISOString();
  return new OrbError('ledger-unavailable', {
    message:
      kind === 'early'
        ? `Block ${height} is of ${instant}, which the clock of this computer has not reached.`
        : `Block ${height} is of ${instant} and came too late: it is ${new Date(now).toISOString()} here.`,
    hint: 'Set this clock; if it is right, that of the orderer is wrong.',
  });
}

function closedError(): OrbError {
  return new OrbError('ledger-unavailable', { message: 'The ledger is closed.' });
}

function lateError(height: number): OrbError {
  return new OrbError('ledger-unavailable', {
    message: `The orderer has the transaction in block ${height}, but that block has not come here.`,
    hint: 'Submit it again: a transaction counts once.',
  });
}
