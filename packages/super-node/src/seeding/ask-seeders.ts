import {
  asOrbError,
  replicaId,
  signTransaction,
  stateKeys,
  type ChainId,
  type ChallengeRecord,
  type CreditRecord,
  type FunctionId,
  type Signer,
  type SuperNodeId,
  type VersionId,
} from '@orb/protocol';
import type { Ledger, RecordWrite } from '@orb/ledger';
import type { Log } from '../log.ts';
import type { FunctionRegistry } from '../registry/function-registry.ts';
import type { NodeRegistry } from '../registry/node-registry.ts';

export interface AskSeedersOptions {
  readonly chain: ChainId;
  readonly superNode: SuperNodeId;
  readonly signer: Signer;
  /** The shortest time from one challenge of a function to its next, milliseconds. */
  readonly everyMs: number;
}

export interface AskSeedersDependencies {
  readonly ledger: Ledger;
  readonly functions: FunctionRegistry;
  readonly nodes: NodeRegistry;
  readonly nowMs: () => number;
  readonly log: Log;
}

/** Challenges made in one round. */
const mostPerRound = 16;

/**
 * Challenges the seeders of functions whose seeding share waits here: a random piece of the code, which only who holds
 * it can show. Who answers is paid from that share; who is asked, and for what, the ledger says and not the super node.
 */
export class AskSeeders {
  readonly #options: AskSeedersOptions;
  readonly #d: AskSeedersDependencies;
  /** Functions with a share here that has vested, or will: from when on. */
  readonly #waiting = new Map<FunctionId, number>();
  readonly #last = new Map<FunctionId, number>();
  #round: Promise<void> | undefined;

  constructor(options: AskSeedersOptions, dependencies: AskSeedersDependencies) {
    this.#options = options;
    this.#d = dependencies;
  }

  /** Reads what the ledger holds. Call {@link apply} with every later event. */
  async load(): Promise<void> {
    let after: string | undefined;
    do {
      const page = await this.#d.ledger.range('credit/seeding-', { limit: 1_000, ...(after !== undefined && { after }) });
      for (const { key, value } of page) this.apply({ key, value });
      after = page.length === 1_000 ? page.at(-1)!.key : undefined;
    } while (after !== undefined);
  }

  apply({ key, value }: RecordWrite): void {
    const { superNode } = this.#options;
    if (key.startsWith('credit/seeding-') && key.endsWith(superNode)) {
      const fn = key.slice('credit/seeding-'.length, -superNode.length - 1);
      const { vested, vesting } = (value ?? { vested: '0', vesting: [] }) as unknown as CreditRecord;
      if (vested !== '0') this.#waiting.set(fn, 0);
      else if (vesting[0]) this.#waiting.set(fn, vesting[0][0]);
      else this.#waiting.delete(fn);
    } else if (key.startsWith(`challenge/${superNode}/`) && value !== null) {
      this.#tell(key.slice(`challenge/${superNode}/`.length), value as unknown as ChallengeRecord);
    }
  }

  /** Asks where it is time; one round at a time. Never throws. */
  ask(): Promise<void> {
    this.#round ??= this.#askDue().finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  /** Linked seeders need not wait until they look at the ledger by themselves. */
  #tell(fn: FunctionId, { number, version, paid }: ChallengeRecord): void {
    if (paid) return;
    for (const node of this.#d.nodes.seeders(replicaId(fn, version))) node.link.notify('challenge', { function: fn, number });
  }

  async #askDue(): Promise<void> {
    const now = this.#d.nowMs();
    const due = [...this.#waiting].filter(([fn, from]) => from <= now && now - (this.#last.get(fn) ?? 0) >= this.#options.everyMs);
    for (const [fn] of due.slice(0, mostPerRound)) {
      this.#last.set(fn, now);
      await this.#askFor(fn, now).catch((error: unknown) => {
        const { code, message } = asOrbError(error);
        this.#d.log.warn('seeders could not be challenged', { function: fn, code, message });
      });
    }
  }

  async #askFor(fn: FunctionId, now: number): Promise<void> {
    const { ledger } = this.#d;
    const { chain, superNode, signer } = this.#options;
    const before = (await ledger.get(stateKeys.challenge(superNode, fn))) as unknown as ChallengeRecord | undefined;
    const isOpen = before !== undefined && (now <= before.until || (before.answers.length > 0 && !before.paid));
    if (isOpen || !(await this.#hasShare(fn, now))) return;
    const version = await this.#askable(fn);
    if (version === undefined) return;
    const body = { superNode, function: fn, version, number: (before?.number ?? 0) + 1 };
    await ledger.submit(signTransaction(chain, 'seeding.challenge', body, [signer]));
  }

  /** True when there is something to be had: what was heard of may be paid out already. */
  async #hasShare(fn: FunctionId, now: number): Promise<boolean> {
    const key = stateKeys.seedingPool(fn, this.#options.superNode);
    const pool = (await this.#d.ledger.get(key)) as unknown as CreditRecord | undefined;
    return pool !== undefined && (pool.vested !== '0' || (pool.vesting[0] !== undefined && pool.vesting[0][0] <= now));
  }

  /** The version that takes calls now, if its owner has said what its pieces are. */
  async #askable(fn: FunctionId): Promise<VersionId | undefined> {
    const version = this.#d.functions.get(fn)?.versions[0]?.[0].id;
    const known = version !== undefined && (await this.#d.ledger.get(stateKeys.codeRoot(fn, version))) !== undefined;
    return known ? version : undefined;
  }
}
