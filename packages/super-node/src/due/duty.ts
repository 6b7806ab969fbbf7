import type { Json, SuperNodeId, Transaction } from '@orb/protocol';

/** Something that the ledger lets anybody do once its time has come. */
export interface Due {
  /** The record that it is about. */
  readonly key: string;
  /** Ledger time after which it is due. */
  readonly dueMs: number;
  /** Whose affair it is: that super node does it first, others only when it has not. Undefined: everybody's. */
  readonly whose?: SuperNodeId;
  /** Which one it is, where a record has had several. */
  readonly number?: number;
}

/** One kind of such things, and how each is found and done. Its transactions need no signature. */
export interface Duty {
  /** Of the keys of its records. */
  readonly prefix: string;
  /** How many are done by one transaction at most, all of one super node. @default 1 */
  readonly together?: number;
  /** What is to be done about a record as it is now, and when; undefined when nothing is. */
  dueOf(key: string, value: Json): Promise<Due | undefined> | Due | undefined;
  /** Undefined: not now. */
  transactionOf(dues: readonly Due[], nowMs: number): Transaction | undefined;
}
