import { jobId, OrbError, parseUnits, ticketFromRow, type CancelSignal, type JobId, type RunRequest, type Ticket } from '@orb/protocol';
import type { Lending } from '../offer/lending.ts';
import type { LinkSession } from '../link-session.ts';
import type { SecretShelf } from '../secrets/secret-shelf.ts';
import type { SeededVersion, SeedShelf } from '../seeding/seed-shelf.ts';
import type { RefusalReason, Tally } from './tally.ts';

/** A job that this node has taken: it holds a slot until {@link JobDesk.leave}. */
export interface AcceptedJob {
  readonly id: JobId;
  readonly request: RunRequest;
  /** The ticket as it is hashed and kept. */
  readonly ticketText: string;
  readonly ticket: Ticket;
  readonly seeded: SeededVersion;
  readonly session: LinkSession;
  /** When it came, microseconds on the node's monotonic clock. */
  readonly receivedUs: number;
  /** The handler's bound: the manifest's, or what the ticket's maximum pays for where that is less. */
  readonly timeoutMs: number;
  /** Base units per MiB·ms. */
  readonly rate: bigint;
}

export interface JobDeskOptions {
  /** Tickets without a signed root after which a super node gets no more work done. @default 4096 */
  readonly maxUnsignedTickets?: number;
  /** Receipts that one super node may leave unsettled. @default 200000 */
  readonly maxUnsettledRows?: number;
}

export interface JobDeskDependencies {
  readonly lending: Lending;
  readonly shelf: SeedShelf;
  readonly secrets: Pick<SecretShelf, 'number'> | undefined;
  readonly tally: Tally;
  /** Microseconds on one monotonic clock. */
  readonly nowUs: () => number;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
}

/** Decides which jobs this node takes, and knows how many it has. */
export class JobDesk {
  readonly #options: Required<JobDeskOptions>;
  readonly #dependencies: JobDeskDependencies;
  /** Jobs under way, by version. A version that has none goes when its shelf lets go of it, not at every end of a job. */
  readonly #active = new WeakMap<SeededVersion, number>();
  #running = 0;
  #delivering = 0;
  #busyMiB = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(options: JobDeskOptions, dependencies: JobDeskDependencies) {
    this.#options = { maxUnsignedTickets: options.maxUnsignedTickets ?? 4_096, maxUnsettledRows: options.maxUnsettledRows ?? 200_000 };
    this.#dependencies = dependencies;
  }

  /** Jobs under way. */
  get running(): number {
    return this.#running;
  }

  /** Memory that the jobs under way may use, MiB. */
  get busyMiB(): number {
    return this.#busyMiB;
  }

  /** Takes a job, or @throws OrbError `node-refused` with the reason. */
  accept(request: RunRequest, session: LinkSession): AcceptedJob {
    const receivedUs = this.#dependencies.nowUs();
    const ticketText = session.tickets.add(request.ticket);
    const ticket = ticketFromRow(request.ticket);
    this.#checkNode();
    this.#checkSuperNode(session);
    const seeded =
      this.#dependencies.shelf.get(ticket.function, ticket.version) ??
      this.refuse('unknown-version', 'it does not hold this version of the function');
    this.#checkSecrets(seeded);
    const rate = this.#checkRate(ticket, seeded);
    const timeoutMs = this.#payableMs(ticket, seeded, rate);
    this.#checkOnce(ticket, session);
    this.#enter(seeded);
    return {
      id: jobId(ticket.allowance, ticket.sequence),
      request,
      ticketText,
      ticket,
      seeded,
      session,
      receivedUs,
      timeoutMs,
      rate,
    };
  }

  /** Gives the job's slot and memory back. Once per job. */
  leave({ seeded }: AcceptedJob): void {
    const { concurrency, memoryMiB } = seeded.manifest;
    const active = this.#active.get(seeded)! - 1;
    this.#active.set(seeded, active);
    if (active % concurrency === 0) this.#busyMiB -= memoryMiB;
    this.#running--;
    this.#checkIdle();
  }

  /** An answer waits for its reader. @returns to be called when its last byte has gone; the end of the call does the same */
  delivering(signal: CancelSignal): () => void {
    let over = signal.aborted;
    if (!over) this.#delivering++;
    const end = () => {
      if (over) return;
      over = true;
      this.#delivering--;
      this.#checkIdle();
    };
    signal.addEventListener('abort', end, { once: true });
    return end;
  }

  /** Resolves when no job is under way and no answer waits for its reader. */
  async idle(): Promise<void> {
    if (this.#running + this.#delivering === 0) return;
    this.#idle ??= Promise.withResolvers();
    await this.#idle.promise;
    this.#idle = undefined;
  }

  #checkIdle(): void {
    if (this.#running + this.#delivering === 0) this.#idle?.resolve();
  }

  /** @throws OrbError `node-refused`, counted by its reason */
  refuse(reason: RefusalReason, words: string): never {
    this.#dependencies.tally.refused(reason, words);
    throw new OrbError('node-refused', { message: `The node refused the job: ${words}.`, details: { reason } });
  }

  #checkNode(): void {
    const { lending } = this.#dependencies;
    if (lending.stopping) this.refuse('stopping', 'it is stopping');
    if (lending.paused) this.refuse('paused', 'its owner has paused it');
    const [rest] = lending.resting;
    if (rest) this.refuse('resting', rest.words);
    if (this.#running >= lending.terms.slots) this.refuse('no-slot', `all of its ${lending.terms.slots} slots are taken`);
  }

  #checkSuperNode({ book, tickets }: LinkSession): void {
    if (book.failure) return this.refuse('journal', 'its receipt journal cannot be written now');
    if (tickets.unsigned > this.#options.maxUnsignedTickets) {
      this.refuse('tickets-unsigned', `this super node has not proven ${tickets.unsigned} tickets with signed roots`);
    }
    if (book.unsettledRows >= this.#options.maxUnsettledRows) {
      this.refuse('unsettled', `this super node has not settled ${book.unsettledRows} receipts`);
    }
  }

  #checkSecrets({ manifest, function: fn }: SeededVersion): void {
    if (manifest.secrets.length > 0 && this.#dependencies.secrets?.number(fn) === undefined)
      this.refuse('secrets', 'it does not hold the secrets of this function');
  }

  #checkRate(ticket: Ticket, { manifest }: SeededVersion): bigint {
    const rate = BigInt(ticket.rate);
    const { terms } = this.#dependencies.lending;
    if (rate < terms.rate) this.refuse('rate-too-low', `the ticket pays ${rate} units per MiB·ms; it asks ${terms.rate}`);
    if (rate > BigInt(manifest.priceCap))
      this.refuse('above-price-cap', `the ticket pays ${rate} units per MiB·ms; the function’s cap is ${manifest.priceCap}`);
    return rate;
  }

  /** The time that the ticket can pay for: a receipt above the ticket's maximum is worth nothing. */
  #payableMs({ maxCost }: Ticket, { manifest }: SeededVersion, rate: bigint): number {
    if (rate === 0n) return manifest.timeoutMs;
    const payable = parseUnits(maxCost) / (rate * BigInt(manifest.memoryMiB));
    if (payable < 1n) this.refuse('max-cost-too-low', 'the ticket’s maximum does not pay for one millisecond');
    return payable < BigInt(manifest.timeoutMs) ? Number(payable) : manifest.timeoutMs;
  }

  #checkOnce({ allowance, sequence, notAfter }: Ticket, session: LinkSession): void {
    const nowMs = this.#dependencies.nowMs();
    if (notAfter <= nowMs) this.refuse('expired', `the ticket ended ${nowMs - notAfter} ms ago by this node’s clock`);
    const seen = session.account.guard.take(allowance, sequence, notAfter, nowMs);
    if (seen === 'replayed') this.refuse('replayed', `ticket ${sequence} of this allowance has come before`);
    if (seen === 'too-old') this.refuse('replayed', `ticket ${sequence} of this allowance is far behind the others`);
    if (seen === 'full') this.refuse('replayed', 'it watches as many allowances as it can');
  }

  #enter(seeded: SeededVersion): void {
    const { concurrency, memoryMiB } = seeded.manifest;
    const active = this.#active.get(seeded) ?? 0;
    if (active % concurrency === 0) {
      const most = this.#dependencies.lending.terms.memoryMiB;
      if (this.#busyMiB + memoryMiB > most)
        this.refuse('no-memory', `it has ${most - this.#busyMiB} of ${most} MiB free; the function needs ${memoryMiB}`);
      this.#busyMiB += memoryMiB;
    }
    this.#active.set(seeded, active + 1);
    this.#running++;
  }
}
