import { stateKeys, type FunctionId, type Transaction, type VersionRecord } from '@orb/protocol';
import type { Ledger } from '@orb/ledger';

/** What an owner signed, as the ledger keeps it: nodes check it themselves and take nobody's word. */
export class Publications {
  readonly #ledger: Ledger;

  constructor(dependencies: { readonly ledger: Ledger }) {
    this.#ledger = dependencies.ledger;
  }

  /** The transaction that published a version. */
  async ofVersion({ function: fn, id }: VersionRecord): Promise<Transaction | undefined> {
    return (await this.#transactions(stateKeys.version(fn, id)))[0];
  }

  /** The newest control action of a function. */
  async lastControl(fn: FunctionId): Promise<Transaction | undefined> {
    return (await this.#transactions(stateKeys.function(fn))).at(-1);
  }

  /** The changes of a function's control key, oldest first. */
  async rotations(fn: FunctionId): Promise<Transaction[]> {
    const all = await this.#transactions(stateKeys.function(fn));
    return all.filter((transaction) => transaction.kind === 'function.control' && transaction.body.action.type === 'rotate');
  }

  /** Every transaction that wrote a record, oldest first. */
  async #transactions(key: string): Promise<Transaction[]> {
    const found: Transaction[] = [];
    for (const { transaction: id } of await this.#ledger.history(key, { limit: 1_000 })) {
      const place = await this.#ledger.locate(id);
      const transaction = place && (await this.#ledger.block(place.height))?.transactions[place.index];
      if (transaction) found.push(transaction);
    }
    return found;
  }
}
