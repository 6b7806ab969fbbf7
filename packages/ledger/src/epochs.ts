import {
  checkEpochs,
  epochOf,
  firstEpoch,
  OrbError,
  stateKeys,
  type BlockHeader,
  type Epoch,
  type Genesis,
  type Hex32,
  type Json,
  type OrdererCertificate,
  type OrdererRecord,
} from '@orb/protocol';
import type { Ledger } from './port.ts';

/** How many changes of the orderer are read at once. */
const pageSize = 1_000;

interface Reads {
  get(key: string): Json | undefined;
}

/** The key that signs the blocks of an epoch; undefined for one that the state does not know. */
export function ordererKeyOf(state: Reads, genesis: Pick<Genesis, 'ordererKey'>, epoch: number): Hex32 | undefined {
  return epochFrom(state, genesis, epoch)?.key;
}

/** An epoch as the state has it. */
export function epochFrom(state: Reads, genesis: Pick<Genesis, 'ordererKey'>, epoch: number): Epoch | undefined {
  return epoch === 1 ? firstEpoch(genesis) : (state.get(stateKeys.orderer(epoch)) as unknown as OrdererRecord | undefined);
}

/** The changes of a ledger's orderer, oldest first. */
export async function readCertificates(ledger: Pick<Ledger, 'range'>): Promise<readonly OrdererCertificate[]> {
  const records = await ledger.range('orderer/', { limit: pageSize });
  return records.map(({ value }) => (value as unknown as OrdererRecord).certificate);
}

/**
 * Checks the changes of the orderer that a state holds, from the genesis on: what a copy must do that has not run them.
 * @returns the key that signs a header's block
 * @throws OrbError `bad-signature`
 */
export function provenOrdererKey(genesis: Genesis, header: BlockHeader, entries: Iterable<readonly [string, Json]>): Hex32 {
  const records: OrdererRecord[] = [];
  for (const [key, value] of entries) if (key.startsWith('orderer/')) records.push(value as unknown as OrdererRecord);
  records.sort((a, b) => a.epoch - b.epoch);
  const epochs = checkEpochs(
    genesis,
    header.chain,
    records.map(({ certificate }) => certificate),
  );
  const epoch = epochs.at(-1)!.epoch === header.epoch && epochOf(header, epochs);
  if (!epoch)
    throw new OrbError('bad-signature', {
      message: `The state does not tell who ordered block ${header.height} of epoch ${header.epoch}.`,
    });
  return epoch.key;
}
