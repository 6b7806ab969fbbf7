import {
  asOrbError,
  pieceCommitment,
  pieceFor,
  signTransaction,
  stateKeys,
  type AccountId,
  type ChainId,
  type ChallengeRecord,
  type FunctionId,
  type NodeId,
  type NodeRecord,
  type Signer,
  type Transaction,
} from '@orb/protocol';
import type { NodeLedger } from '../claims/node-ledger.ts';
import type { SuperNodeAccount } from '../super-node-account.ts';
import type { SeedShelf } from './seed-shelf.ts';

export interface AnswerChallengesOptions {
  readonly chain: ChainId;
  readonly node: NodeId;
}

export interface AnswerChallengesDependencies {
  readonly account: Pick<SuperNodeAccount, 'id'>;
  readonly signer: Signer;
  readonly ledger: NodeLedger;
  readonly shelf: Pick<SeedShelf, 'get' | 'code' | 'versions'>;
  readonly nowMs: () => number;
  readonly say: (level: 'info' | 'warn', message: string) => void;
}

/** How many challenges this node has answered, and how many it has committed to but not answered yet. */
export interface ChallengeCounts {
  readonly answered: number;
  readonly open: number;
}

/** How often the ledger is asked for challenges that nobody has told of: more often than a challenge is open. */
const lookEveryMs = 20_000;
/** So many functions are asked for one by one; the challenges of more are read in pages. */
const fewFunctions = 64;
/** Challenges that are told at once; a super node cannot fill the memory with them. */
const toldMax = 1_000;

/**
 * Answers one super node's seeding challenges: says first, in a hash, which piece of the code it has, and shows it when
 * all have said so. Whoever does not hold the code can do neither.
 */
export class AnswerChallenges {
  readonly #options: AnswerChallengesOptions;
  readonly #d: AnswerChallengesDependencies;
  readonly #told = new Set<FunctionId>();
  /** Those that this node has committed to. */
  readonly #committed = new Set<FunctionId>();
  #own: AccountId | undefined;
  #lookedMs = 0;
  #answered = 0;

  constructor(options: AnswerChallengesOptions, dependencies: AnswerChallengesDependencies) {
    this.#options = options;
    this.#d = dependencies;
  }

  get counts(): ChallengeCounts {
    return { answered: this.#answered, open: this.#committed.size };
  }

  /** The super node says that there is a challenge: the ledger is looked at in the next round. */
  told(fn: FunctionId): void {
    if (this.#told.size < toldMax) this.#told.add(fn);
  }

  /** One round. @throws OrbError when the ledger cannot be reached: the next round goes on */
  async round(): Promise<void> {
    const wanted = new Set([...this.#told, ...this.#committed]);
    const now = this.#d.nowMs();
    const looksAtAll = now - this.#lookedMs >= lookEveryMs;
    if (looksAtAll) for await (const fn of this.#untold(now)) wanted.add(fn);
    for (const fn of wanted) await this.#look(fn);
    this.#told.clear();
    if (looksAtAll) this.#lookedMs = now;
  }

  /** Functions that this node seeds and that may have a challenge. */
  async *#untold(now: number): AsyncIterable<FunctionId> {
    const seeded = new Set<FunctionId>();
    for (const { function: fn } of this.#d.shelf.versions) seeded.add(fn);
    if (seeded.size <= fewFunctions) return yield* seeded;
    const prefix = stateKeys.challenge(this.#d.account.id, '');
    for await (const { key, value } of this.#d.ledger.list(prefix)) {
      const { paid, until } = value as unknown as ChallengeRecord;
      const fn = key.slice(prefix.length);
      if (!paid && now <= until && seeded.has(fn)) yield fn;
    }
  }

  async #look(fn: FunctionId): Promise<void> {
    const challenge = (await this.#d.ledger.get(stateKeys.challenge(this.#d.account.id, fn))) as unknown as ChallengeRecord | undefined;
    const now = this.#d.nowMs();
    if (!challenge || challenge.paid || now > challenge.until) {
      this.#committed.delete(fn);
      return;
    }
    const own = await this.#account();
    const committed = challenge.commitments.find(({ account }) => account === own);
    const answered = challenge.answers.some(({ account }) => account === own);
    // Another node of the account answers for all.
    if (answered || (committed && committed.node !== this.#options.node)) this.#committed.delete(fn);
    else if (committed && now > challenge.due) await this.#answer(fn, challenge);
    else if (committed) this.#committed.add(fn);
    else if (now <= challenge.due) await this.#commit(fn, challenge);
    else this.#committed.delete(fn);
  }

  async #commit(fn: FunctionId, challenge: ChallengeRecord): Promise<void> {
    const piece = await this.#piece(fn, challenge);
    if (!piece) return;
    const { node, chain } = this.#options;
    const commitment = pieceCommitment(challenge.seed, node, piece.piece);
    const body = { superNode: this.#d.account.id, function: fn, number: challenge.number, node, commitment };
    if (await this.#submit(signTransaction(chain, 'seeding.commit', body, [this.#d.signer]) as Transaction)) this.#committed.add(fn);
  }

  async #answer(fn: FunctionId, challenge: ChallengeRecord): Promise<void> {
    const piece = await this.#piece(fn, challenge);
    if (!piece) return;
    const { node, chain } = this.#options;
    const body = { superNode: this.#d.account.id, function: fn, number: challenge.number, node, ...piece };
    if (!(await this.#submit(signTransaction(chain, 'seeding.answer', body, [this.#d.signer]) as Transaction))) return;
    this.#committed.delete(fn);
    this.#answered++;
  }

  async #piece(fn: FunctionId, { version, seed }: ChallengeRecord) {
    const seeded = this.#d.shelf.get(fn, version);
    return seeded && pieceFor(await this.#d.shelf.code(seeded), seed, this.#options.node);
  }

  /** @returns false when it is refused: the next round looks again */
  async #submit(transaction: Transaction): Promise<boolean> {
    try {
      await this.#d.ledger.submit(transaction);
      return true;
    } catch (error) {
      const { code, message, retryable } = asOrbError(error);
      if (retryable && code !== 'conflict') throw error;
      // The ledger's clock may be behind this computer's: then it is tried again.
      if (code !== 'conflict') this.#d.say('warn', `A seeding challenge could not be answered: ${message}`);
      return false;
    }
  }

  async #account(): Promise<AccountId | undefined> {
    this.#own ??= ((await this.#d.ledger.get(stateKeys.node(this.#options.node))) as unknown as NodeRecord | undefined)?.account;
    return this.#own;
  }
}
