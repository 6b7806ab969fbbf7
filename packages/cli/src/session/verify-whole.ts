import { OrbError, blockHash } from '@orb/protocol';
import type { VerifyReport } from '@orb/ledger';
import type { Orb } from '@orb/sdk';
import { verifyRemote } from '../compose.ts';

/**
 * Runs a network's ledger again from its genesis and sees that it leads to the head that the super node names.
 * @throws OrbError `ledger-corrupt` naming the first wrong block, or that blocks are kept back
 */
export async function verifyWhole(orb: Orb, onBlock: (height: number, of: number) => void): Promise<Extract<VerifyReport, { ok: true }>> {
  const { head, genesis } = await orb.network();
  const report = await verifyRemote(orb, genesis, (height) => onBlock(height, Math.max(head.height, height)));
  if (!report.ok) {
    throw new OrbError('ledger-corrupt', {
      message: `Block ${report.firstWrongHeight} is the first that is wrong. ${report.error.message}`,
      details: { height: report.firstWrongHeight },
    });
  }
  const same = report.head.height === head.height ? report.head : (await orb.ledger.block(head.height))?.header;
  if (report.head.height < head.height || !same || blockHash(same) !== blockHash(head)) {
    throw new OrbError('ledger-corrupt', {
      message: `The blocks lead to height ${report.head.height}, not to the head that the super node names (${head.height}).`,
      details: { height: report.head.height },
    });
  }
  return report;
}
