import { allowanceId, type AccountId, type AllowanceRecord, type FunctionId, type SuperNodeId } from '@orb/protocol';
import { allowanceRecordSchema, type Committed } from './answers.ts';
import type { Owner } from './functions-client.ts';
import type { LedgerClient } from './ledger-client.ts';

export interface AllowanceTerms {
  readonly superNode: SuperNodeId;
  /** Function ids, or `*` for every function that the payer owns. */
  readonly functions: '*' | readonly FunctionId[];
  readonly maxUnits: bigint;
  readonly maxPerCallUnits: bigint;
  /** When nothing more may be charged, milliseconds since 1970. */
  readonly expiresMs: number;
}

/** Allowances: what a payer lets one super node spend. */
export class AllowancesClient {
  readonly #ledger: LedgerClient;

  constructor(dependencies: { readonly ledger: LedgerClient }) {
    this.#ledger = dependencies.ledger;
  }

  /** Moves units from available to held. @throws OrbError `insufficient-funds` */
  async open(payer: Owner, terms: AllowanceTerms): Promise<{ readonly id: string; readonly committed: Committed }> {
    const { superNode, functions, maxUnits, maxPerCallUnits, expiresMs } = terms;
    const committed = await this.#ledger.sendAs(
      payer.id,
      'allowance.open',
      {
        payer: payer.id,
        superNode,
        functions: functions === '*' ? '*' : [...functions],
        maxUnits: String(maxUnits),
        maxPerCall: String(maxPerCallUnits),
        expires: expiresMs,
      },
      [payer.signer],
    );
    return { id: allowanceId(payer.id, committed.sequence), committed };
  }

  /** The payer's allowances that the ledger still holds. */
  async list(payer: AccountId): Promise<readonly AllowanceRecord[]> {
    const found: AllowanceRecord[] = [];
    for await (const { value } of this.#ledger.range('allowance/')) {
      const record = allowanceRecordSchema.safeParse(value);
      if (record.success && record.data.payer === payer) found.push(record.data);
    }
    return found;
  }

  /** Gives back what is left of an allowance whose time is over. */
  release(allowance: string): Promise<Committed> {
    return this.#ledger.send('allowance.release', { allowance }, []);
  }
}
