import {
  prepareTransaction,
  signTransaction,
  type ChainId,
  type Genesis,
  type OrdererCertificate,
  type Signer,
  type Transaction,
} from '@orb/protocol';
import { BlockBuilder } from '../block-builder.ts';
import type { Standing } from '../embedded/open-ledger-folder.ts';
import type { Clock } from '../engine.ts';
import type { Keeping } from '../keeping.ts';

/**
 * Makes and keeps the first block of a new epoch: the change of the orderer, and nothing else.
 * @throws OrbError why the change does not hold, or does not begin where this ledger stands
 */
export async function beginEpoch(
  certificate: OrdererCertificate,
  at: {
    readonly genesis: Genesis;
    readonly chain: ChainId;
    readonly ordererKey: Signer;
    readonly clock: Clock;
    readonly keeping: Keeping;
    readonly standing: Standing;
  },
): Promise<Standing> {
  const { genesis, chain, ordererKey, clock, keeping, standing } = at;
  const { head, state } = standing;
  const time = Math.max(Math.floor(clock()), head.time);
  const builder = new BlockBuilder({ chain, genesis, previous: head, time, state, epoch: certificate.change.epoch });
  builder.add(prepareTransaction(signTransaction(chain, 'orderer.change', certificate, []) as Transaction));
  const made = builder.sign(builder.seal(), ordererKey);
  await keeping.append(made);
  state.apply(builder.writes);
  return { head: made.block.header, state };
}
