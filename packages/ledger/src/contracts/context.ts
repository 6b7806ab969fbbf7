import {
  OrbError,
  type AccountId,
  type AccountRecord,
  type ChainId,
  type Genesis,
  type Hex32,
  type Parameters,
  type receiptsRoot,
  stateKeys,
  type verify,
} from '@orb/protocol';
import type { Opening } from './orderer-change.ts';
import type { Overlay } from './state.ts';

/** What a contract knows besides the state: the same on every engine that runs the block. */
export interface Environment {
  readonly chain: ChainId;
  readonly network: Genesis['network'];
  /** The account that mints and burns. */
  readonly treasury: AccountId;
  /** Height of the block that will hold the transaction. */
  readonly height: number;
  /** Ledger time of that block, milliseconds. */
  readonly time: number;
  /** The parameters that hold at that height. */
  readonly parameters: Parameters;
  readonly verify: typeof verify;
  readonly receiptsRoot: typeof receiptsRoot;
  /** Only in a block that begins a new epoch. */
  readonly opening?: Opening | undefined;
}

/** One transaction under execution. */
export interface Context {
  readonly state: Overlay;
  readonly env: Environment;
  /** Keys whose signatures on the transaction are right. */
  readonly signers: ReadonlySet<Hex32>;
}

/** @throws OrbError `unknown-account` */
export function requireAccount({ state }: Context, id: AccountId): AccountRecord {
  const account = state.read<AccountRecord>(stateKeys.account(id));
  if (!account) throw new OrbError('unknown-account', { message: `There is no account ${id}.` });
  return account;
}

/** @throws OrbError `bad-signature` unless a current key of the account signed the transaction */
export function requireAccountSignature({ signers }: Context, account: AccountRecord): void {
  if (!account.keys.some((key) => signers.has(key))) {
    throw new OrbError('bad-signature', { message: `The account ${account.name} has not signed the transaction.` });
  }
}

/** @throws OrbError `bad-signature` unless the key signed the transaction @param whose names the key in the message */
export function requireSignature({ signers }: Context, key: Hex32, whose: string): void {
  if (!signers.has(key)) throw new OrbError('bad-signature', { message: `The ${whose} has not signed the transaction.` });
}

/**
 * An account acts: it has signed, and the number is its next one, which is hereby used up. That is what makes every
 * such transaction count once.
 * @throws OrbError `unknown-account`, `bad-signature`, `bad-sequence`
 */
export function actAs(context: Context, id: AccountId, sequence: number): AccountRecord {
  const account = requireAccount(context, id);
  requireAccountSignature(context, account);
  if (sequence !== account.sequence + 1) {
    throw new OrbError('bad-sequence', {
      message: `The next sequence number of ${account.name} is ${account.sequence + 1}, not ${sequence}.`,
      details: { expected: account.sequence + 1 },
    });
  }
  const next = { ...account, sequence };
  context.state.put(stateKeys.account(id), next);
  return next;
}
