import {
  blockHash,
  checkOrdererChange,
  OrbError,
  stateKeys,
  type BlockHeader,
  type FirstKeys,
  type OrdererRecord,
  type TransactionBody,
} from '@orb/protocol';
import { epochFrom } from '../epochs.ts';
import type { Context } from './context.ts';

/** What a block that begins a new epoch stands on. */
export interface Opening {
  readonly epoch: number;
  readonly previous: BlockHeader;
  readonly genesis: FirstKeys;
}

/** `orderer.change`: the peers have given the ledger to another orderer, whose first block this is. */
export function changeOrderer({ state, env }: Context, certificate: TransactionBody<'orderer.change'>): void {
  const { opening } = env;
  const { change } = certificate;
  if (opening?.epoch !== change.epoch) {
    throw new OrbError('forbidden', {
      message: 'A change of the orderer stands in the first block of the new orderer, and nowhere else.',
      hint: 'Hand it to the new orderer: orb ledger orderer change FILE',
    });
  }
  const { previous, genesis } = opening;
  if (change.height !== env.height || change.previous !== blockHash(previous)) {
    throw new OrbError('conflict', { message: `The change begins with block ${change.height}, after another block than this ledger's.` });
  }
  if (state.get(stateKeys.orderer(change.epoch)) !== undefined)
    throw new OrbError('conflict', { message: 'This epoch has begun already.' });
  const before = epochFrom({ get: (key) => state.get(key) }, genesis, previous.epoch)!;
  const { epoch, key, gateway, since } = checkOrdererChange(certificate, before, { chain: env.chain, treasuryKey: genesis.treasuryKey });
  state.put(stateKeys.orderer(epoch), { epoch, key, gateway, since, certificate } satisfies OrdererRecord);
  state.put(stateKeys.currentEpoch, epoch);
}
