import { asOrbError, type ChainId, type FunctionId, type Hex32, type NodeId, type Signer } from '@orb/protocol';
import type { EvidenceLog } from '../receipts/evidence-log.ts';
import { AnswerChallenges, type ChallengeCounts } from '../seeding/answer-challenges.ts';
import type { SeedShelf } from '../seeding/seed-shelf.ts';
import type { SuperNodeAccount } from '../super-node-account.ts';
import { JobClaims, type ClaimCounts } from './job-claims.ts';
import type { NodeLedger } from './node-ledger.ts';

export interface LedgerDutiesOptions {
  readonly chain: ChainId;
  readonly node: NodeId;
  /** Milliseconds from round to round. */
  readonly everyMs: number;
  /** How long a super node may take to settle. */
  readonly claimAfterMs: number;
}

export interface LedgerDutiesDependencies {
  readonly accounts: readonly SuperNodeAccount[];
  /** The ledger, for what a super node owes; undefined where it cannot be reached. */
  readonly openLedger: (superNode: Hex32) => NodeLedger | undefined;
  readonly signer: Signer;
  readonly shelf: SeedShelf;
  readonly evidence: EvidenceLog;
  readonly nowMs: () => number;
  readonly say: (level: 'info' | 'warn', message: string) => void;
}

/** What a node does on the ledger itself, a little at a time, beside all jobs: claims what it is owed, answers challenges. */
export class LedgerDuties {
  readonly #claims: readonly JobClaims[];
  readonly #challenges: ReadonlyMap<Hex32, AnswerChallenges>;
  readonly #ledgers: readonly NodeLedger[];
  readonly #say: LedgerDutiesDependencies['say'];
  readonly #timer: NodeJS.Timeout;
  #round: Promise<void> | undefined;
  #trouble = false;

  constructor({ chain, node, everyMs, claimAfterMs }: LedgerDutiesOptions, dependencies: LedgerDutiesDependencies) {
    const { accounts, openLedger, signer, shelf, evidence, nowMs, say } = dependencies;
    const reachable = accounts.flatMap((account) => {
      const ledger = openLedger(account.key);
      return ledger ? [{ account, ledger }] : [];
    });
    this.#ledgers = reachable.map(({ ledger }) => ledger);
    this.#claims = reachable.map((at) => new JobClaims({ chain, node, claimAfterMs }, { ...at, signer, evidence, nowMs, say }));
    this.#challenges = new Map(
      reachable.map((at) => [at.account.key, new AnswerChallenges({ chain, node }, { ...at, signer, shelf, nowMs, say })]),
    );
    this.#say = say;
    if (reachable.length < accounts.length)
      say('warn', 'This node knows no gateway to the ledger: what a super node does not settle stays unpaid. Name one with --gateway.');
    this.#timer = setInterval(() => void this.#run(), everyMs);
    this.#timer.unref();
  }

  get claims(): ClaimCounts {
    const counts = this.#claims.map((claims) => claims.counts);
    return { claimed: sum(counts, 'claimed'), settled: sum(counts, 'settled'), unpaid: sum(counts, 'unpaid'), open: sum(counts, 'open') };
  }

  get challenges(): ChallengeCounts {
    const counts = Array.from(this.#challenges.values(), (challenges) => challenges.counts);
    return { answered: sum(counts, 'answered'), open: sum(counts, 'open') };
  }

  /** A super node says that a function's seeders are challenged. */
  challenged(superNode: Hex32, fn: FunctionId): void {
    this.#challenges.get(superNode)?.told(fn);
    void this.#run();
  }

  /** Ends what is under way, and comes to rest. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    for (const ledger of this.#ledgers) ledger.close();
    await this.#round;
  }

  #run(): Promise<void> {
    this.#round ??= this.#runAll().finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  async #runAll(): Promise<void> {
    for (const duty of [...this.#claims, ...this.#challenges.values()]) {
      try {
        await duty.round();
        this.#trouble = false;
      } catch (error) {
        // Said once: the next rounds try again.
        if (!this.#trouble) this.#say('warn', `The ledger cannot be reached: ${asOrbError(error).message}`);
        this.#trouble = true;
      }
    }
  }
}

function sum<Name extends string>(counts: readonly Readonly<Record<Name, number>>[], name: Name): number {
  return counts.reduce((total, each) => total + each[name], 0);
}
