import { OrbError, parseTransaction, signersOf, type ChainId, type FunctionId, type Hex32, type Transaction } from '@orb/protocol';

/** What a node knows of a function's authority: the first key it met, and what that key has said since. */
export interface ControlPin {
  /** Keys that have controlled the function, oldest first; the last one does now. */
  readonly keys: readonly Hex32[];
  /** The key that may rotate when the control key is lost; empty when the node has not seen it. */
  readonly recoveryKey: Hex32 | '';
  /** Highest sequence of a control action seen. */
  readonly sequence: number;
  /** Decommissioned functions are never seeded again. */
  readonly ended: boolean;
}

/** A control transaction, read and for this chain. */
export type ControlTransaction = Transaction<'function.control'>;

/** @throws OrbError `invalid-request`, `too-large`, `wrong-chain` */
export function readTransaction(value: unknown, chain: ChainId): Transaction {
  const transaction = parseTransaction(value);
  if (transaction.chain !== chain) throw new OrbError('wrong-chain');
  return transaction;
}

/** The pin that a function's creation makes. @throws OrbError `bad-signature` */
export function pinFromCreation(transaction: Transaction<'function.create'>): ControlPin {
  const { controlKey, recoveryKey } = transaction.body;
  if (!signersOf(transaction).has(controlKey)) {
    throw new OrbError('bad-signature', { message: 'The function’s creation is not signed by its control key.' });
  }
  return { keys: [controlKey], recoveryKey, sequence: 0, ended: false };
}

/** The pin that a function's first control action makes, where the node has not seen its creation: trust on first use. */
export function pinFromFirstUse(transaction: ControlTransaction): ControlPin {
  const [key, ...others] = signersOf(transaction);
  if (key === undefined || others.length > 0) {
    throw new OrbError('bad-signature', { message: 'The control action is not signed by exactly one key.' });
  }
  return { keys: [key], recoveryKey: '', sequence: 0, ended: false };
}

/**
 * Follows rotations of the control key, oldest first. What the pin has seen already is skipped.
 * @throws OrbError `bad-signature` where neither the control key nor the recovery key signed
 */
export function followRotations(pin: ControlPin, fn: FunctionId, rotations: readonly Transaction[]): ControlPin {
  let followed = pin;
  for (const transaction of rotations) {
    if (transaction.kind !== 'function.control' || transaction.body.function !== fn) continue;
    const { action, sequence } = transaction.body;
    if (action.type !== 'rotate' || sequence <= followed.sequence) continue;
    const signers = signersOf(transaction);
    if (!signers.has(followed.keys.at(-1)!) && !signers.has(followed.recoveryKey)) {
      throw new OrbError('bad-signature', { message: 'A rotation is signed neither by the control key nor by the recovery key.' });
    }
    followed = { ...followed, keys: [...followed.keys, action.controlKey], recoveryKey: action.recoveryKey, sequence };
  }
  return followed;
}

/** True when a key that controls the function, or did when the action was its newest, signed the action. */
export function isSignedForPin(pin: ControlPin, transaction: Transaction): boolean {
  const signers = signersOf(transaction);
  return pin.keys.some((key) => signers.has(key));
}

/** The pin after an action of the current key; the newest one may be shown again, for another version. @throws OrbError `bad-signature`, `bad-sequence` */
export function advancePin(pin: ControlPin, transaction: ControlTransaction): ControlPin {
  const { sequence, action } = transaction.body;
  if (!signersOf(transaction).has(pin.keys.at(-1)!)) {
    throw new OrbError('bad-signature', { message: 'The control action is not signed by the function’s control key.' });
  }
  if (sequence < pin.sequence) {
    throw new OrbError('bad-sequence', { message: `Control action ${sequence} is old: this node has seen ${pin.sequence}.` });
  }
  return { ...pin, sequence, ended: pin.ended || action.type === 'decommission' };
}
