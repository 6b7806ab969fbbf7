import {
  blockHash,
  checkOrdererChange,
  firstEpoch,
  OrbError,
  stateKeys,
  type CheckedChange,
  type Epoch,
  type OrdererCertificate,
} from '@orb/protocol';
import type { Cut } from '../embedded/cut-back.ts';
import type { Ledger } from '../port.ts';

/** What a change of the orderer means for a copy. */
export interface ChangeAhead {
  readonly certificate: OrdererCertificate;
  readonly checked: CheckedChange;
  /** Blocks that the copy has above it, and must give up. */
  readonly cut: Cut | undefined;
}

/**
 * Looks at changes of the orderer that another has told of: the first that this copy does not have yet, if it holds.
 * Undefined when there is none.
 * @param certificates in ascending order of epoch
 * @throws OrbError `bad-signature` when it does not hold; `ledger-corrupt` when this copy has left the ledger below it
 */
export async function examineChange(
  ledger: Pick<Ledger, 'chain' | 'genesis' | 'head' | 'header' | 'get'>,
  certificates: readonly OrdererCertificate[],
): Promise<ChangeAhead | undefined> {
  const { head, chain, genesis } = ledger;
  const certificate = certificates.find(({ change }) => change.epoch > head.epoch);
  if (!certificate) return undefined;
  const { epoch: before } = certificate.stand.header;
  const record = before === 1 ? firstEpoch(genesis) : ((await ledger.get(stateKeys.orderer(before))) as unknown as Epoch | undefined);
  if (!record) throw leftBelow(certificate);
  const checked = checkOrdererChange(certificate, record, { chain, treasuryKey: genesis.treasuryKey });
  const { height, previous, epoch } = certificate.change;
  if (height - 1 > head.height) return { certificate, checked, cut: undefined };
  const ours = await ledger.header(height - 1);
  if (!ours || blockHash(ours) !== previous) throw leftBelow(certificate);
  return { certificate, checked, cut: height <= head.height ? { v: 1, height, previous, epoch } : undefined };
}

function leftBelow({ change }: OrdererCertificate): OrbError {
  return new OrbError('ledger-corrupt', {
    message: `The orderer has changed at block ${change.height}, and this copy left the ledger before that: its block ${change.height - 1} is another.`,
    hint: 'Make this copy again in an empty folder; keep cosigned.json.',
    details: { height: change.height },
  });
}
