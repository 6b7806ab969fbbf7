import {
  asOrbError,
  blockHash,
  blockHeaderSchema,
  checkOrdererChange,
  hex64,
  limits,
  OrbError,
  type OrdererChange,
  parseTransaction,
  parseWith,
  transactionsRoot,
  type BlockHeader,
  type Genesis,
  type Hex32,
  type Transaction,
} from '@orb/protocol';
import { z } from 'zod';
import type { BlockBuilder } from '../block-builder.ts';
import { epochFrom, ordererKeyOf } from '../epochs.ts';
import type { NewBlock, SignedHeader } from '../keeping.ts';
import { isSignedBy, reExecute } from '../re-execute.ts';
import type { State } from '../state.ts';
import type { OffClock } from './block-clock.ts';
import { otherBefore, otherEpoch, twoBlocks } from './refusals.ts';

/** Where a replica stands when it looks at a block. */
export interface Standpoint {
  readonly genesis: Genesis;
  readonly chain: string;
  readonly head: BlockHeader;
  readonly state: State;
  /** A change of the orderer that has been checked, whose block is not here yet. */
  readonly ahead?: OrdererChange | undefined;
  /** Whether the next block's time may not be taken now. */
  judgeTime(header: BlockHeader): Promise<OffClock | undefined> | undefined;
  /** A block that the replica has. */
  kept(height: number): Promise<SignedHeader | undefined>;
}

/** What came of looking at a block. */
export type Verdict =
  | { readonly kind: 'right'; readonly made: NewBlock; readonly builder: BlockBuilder }
  /** The replica has this very block already. */
  | { readonly kind: 'known' }
  /** It is of a time that this computer's clock has not reached, or that was over long before it came. */
  | { readonly kind: OffClock; readonly height: number; readonly time: number }
  | {
      readonly kind: 'wrong';
      readonly height: number;
      /** Completes the sentence "Block 7 is refused: …". */
      readonly reason: string;
      /**
       * True when the orderer signed what cannot be right: then it is the orderer's fault, for all to see. Otherwise
       * somebody between may have done it, and a right block of this height may still come.
       */
      readonly proven: boolean;
      /** The replica's own block, where the wrong one stands against it. */
      readonly ours?: SignedHeader;
    };

const shape = z.strictObject({
  header: blockHeaderSchema,
  signature: hex64,
  transactions: z.array(z.unknown()).max(limits.blockTransactions),
});
type Read = z.output<typeof shape>;

/** Looks at a block that came from outside: shape, orderer's signature, place, transactions, and what running it leads to. */
export async function examineBlock(value: unknown, at: Standpoint): Promise<Verdict> {
  let block: Read;
  try {
    block = parseWith(shape, value, 'block');
  } catch (error) {
    return { kind: 'wrong', height: at.head.height + 1, reason: `it is not a block (${asOrbError(error).message})`, proven: false };
  }
  const stranger = strangerIn(block, at);
  if (stranger) return wrong(block, ...stranger);
  if (block.header.epoch < at.head.epoch && block.header.height > at.head.height) {
    return wrong(block, `its epoch ${block.header.epoch} is over: the ledger has another orderer since`, false);
  }
  if (block.header.height <= at.head.height) return examineOld(block, at);
  const displaced = displacedIn(block, at.head);
  if (displaced) return wrong(block, ...displaced);
  if (!carriesItsTransactions(block)) return wrong(block, 'its transactions are not those that its header names', false);
  const off = await at.judgeTime(block.header);
  return off ? { kind: off, height: block.header.height, time: block.header.time } : run(block, at);
}

/** Why a block is nothing that an orderer of this ledger may have signed, and whether that is the orderer's own fault. */
function strangerIn(block: Read, at: Standpoint): [reason: string, proven: boolean] | undefined {
  const { header, signature } = block;
  const { ahead, head, state, genesis } = at;
  if (ahead && header.epoch < ahead.epoch && header.height >= ahead.height) {
    return [`the orderer has changed: epoch ${ahead.epoch} begins with block ${ahead.height}`, false];
  }
  if (header.chain !== at.chain) return ['it belongs to another ledger', false];
  const key = signingKey(block, at);
  if (key !== undefined) return isSignedBy(key, header, signature) ? undefined : ['the orderer did not sign it', false];
  // No orderer begins an epoch without being chosen; where blocks are left out in between, that may be to come.
  const isNext = header.height === head.height + 1 && header.previous === blockHash(head);
  const proven = isNext && isSignedBy(ordererKeyOf(state, genesis, head.epoch)!, header, signature);
  return [`nobody is the orderer of epoch ${header.epoch}: its epoch has not begun`, proven];
}

/** Who must have signed a block. What begins a new epoch names its orderer itself, by the word of those who may decide. */
function signingKey({ header, transactions }: Read, { genesis, state, head, chain }: Standpoint): Hex32 | undefined {
  const known = ordererKeyOf(state, genesis, header.epoch);
  if (known !== undefined || header.epoch <= head.epoch) return known;
  try {
    const first = parseTransaction(transactions[0]);
    if (first.kind !== 'orderer.change' || first.body.change.epoch !== header.epoch) return undefined;
    const { height, previous } = first.body.change;
    if (height !== header.height || height !== head.height + 1 || previous !== blockHash(head)) return undefined;
    const before = epochFrom(state, genesis, head.epoch)!;
    return checkOrdererChange(first.body, before, { chain, treasuryKey: genesis.treasuryKey }).key;
  } catch {
    return undefined;
  }
}

/** A block of a height that the replica has: the same, or a second one of that height, which proves a forked ledger. */
async function examineOld(block: Read, at: Standpoint): Promise<Verdict> {
  const ours = await at.kept(block.header.height);
  if (!ours) throw new OrbError('internal', { message: `Block ${block.header.height} is not kept.` });
  if (blockHash(ours.header) === blockHash(block.header)) return { kind: 'known' };
  // Of two epochs only one counts, and their orderers are two.
  if (ours.header.epoch !== block.header.epoch) return wrong(block, otherEpoch, false);
  const verdict = wrong(block, twoBlocks, true);
  return { ...verdict, ours: { header: ours.header, signature: ours.signature } };
}

/** Why a signed block is not the next one, and whether that is the orderer's fault. */
function displacedIn({ header }: Read, head: BlockHeader): [reason: string, proven: boolean] | undefined {
  if (header.height !== head.height + 1) return [`it came out of order: the next one is ${head.height + 1}`, false];
  if (header.previous !== blockHash(head)) return [otherBefore, true];
  if (header.time < head.time) return ['its time is before that of the block before it', true];
  return undefined;
}

function carriesItsTransactions({ header, transactions }: Read): boolean {
  try {
    return header.count === transactions.length && header.transactions === transactionsRoot(transactions as Transaction[]);
  } catch {
    return false;
  }
}

async function run(block: Read, { genesis, head, state }: Standpoint): Promise<Verdict> {
  try {
    const builder = await reExecute(block.header, block.transactions, { genesis, previous: head, state });
    return { kind: 'right', made: builder.finish(block.header, block.signature), builder };
  } catch (error) {
    return wrong(block, asOrbError(error).message, true);
  }
}

function wrong({ header }: Read, reason: string, proven: boolean): Extract<Verdict, { kind: 'wrong' }> {
  return { kind: 'wrong', height: header.height, reason, proven };
}
