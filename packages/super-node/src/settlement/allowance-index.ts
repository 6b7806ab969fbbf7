import type { AccountId, AllowanceRecord, FunctionId } from '@orb/protocol';

type Target = FunctionId | '*';
interface Indexed {
  readonly record: Pick<AllowanceRecord, 'payer' | 'functions' | 'expires'>;
}

/** Allowances by payer and function, those that end first in front: an owner of thousands pays for a call as fast as one of few. */
export class AllowanceIndex<A extends Indexed> {
  readonly #payers = new Map<AccountId, Map<Target, A[]>>();

  add(allowance: A): void {
    const { payer, expires } = allowance.record;
    const targets = this.#payers.get(payer) ?? new Map<Target, A[]>();
    this.#payers.set(payer, targets);
    for (const target of targetsOf(allowance)) {
      const line = targets.get(target) ?? [];
      targets.set(target, line);
      // Most are added in the order in which they end.
      const at = line.findLastIndex((other) => other.record.expires <= expires) + 1;
      line.splice(at, 0, allowance);
    }
  }

  remove(allowance: A): void {
    const { payer } = allowance.record;
    const targets = this.#payers.get(payer);
    for (const target of targetsOf(allowance)) {
      const left = targets?.get(target)?.filter((other) => other !== allowance) ?? [];
      if (left.length > 0) targets?.set(target, left);
      else targets?.delete(target);
    }
    if (targets?.size === 0) this.#payers.delete(payer);
  }

  /** Of a payer's allowances for a function, or for all, the one that ends first among those that a test accepts. */
  find(payer: AccountId, target: FunctionId, accepts: (allowance: A) => boolean): A | undefined {
    const targets = this.#payers.get(payer);
    const own = targets?.get(target)?.find(accepts);
    const general = targets?.get('*')?.find(accepts);
    if (!own || !general) return own ?? general;
    return general.record.expires < own.record.expires ? general : own;
  }
}

function targetsOf({ record: { functions } }: Indexed): readonly Target[] {
  return functions === '*' ? ['*'] : functions;
}
