import { nodeId, type Hex32 } from '@orb/protocol';
import type { CheckedNodeConfig } from '../node-config.ts';
import type { NodeLog } from '../lent-node.ts';
import type { EvidenceLog } from '../receipts/evidence-log.ts';
import type { SuperNodeAccount } from '../super-node-account.ts';
import { ClaimClock } from './claim-clock.ts';
import { JobClaims } from './job-claims.ts';
import type { NodeLedger } from './node-ledger.ts';

export interface ClaimsFoundations {
  readonly openLedger?: (superNode: Hex32) => NodeLedger | undefined;
  readonly log: NodeLog;
  readonly nowMs?: () => number;
}

/** What super nodes do not settle, the node brings to the ledger itself. */
export function seeToClaims(
  config: CheckedNodeConfig,
  on: ClaimsFoundations,
  accounts: readonly SuperNodeAccount[],
  evidence: EvidenceLog,
): { readonly clock: ClaimClock; close(): Promise<void> } {
  const { chain, signer } = config;
  const { afterMs, everyMs } = config.claims;
  const ledgers = accounts.map((account) => ({ account, ledger: on.openLedger?.(account.key) }));
  const claims = ledgers.flatMap(({ account, ledger }) =>
    ledger
      ? new JobClaims(
          { chain, node: nodeId(signer.publicKey), claimAfterMs: afterMs },
          { account, signer, ledger, evidence, nowMs: on.nowMs ?? Date.now, say: on.log },
        )
      : [],
  );
  if (claims.length < accounts.length)
    on.log('warn', 'This node knows no gateway to the ledger: what a super node does not settle stays unpaid. Name one with --gateway.');
  const clock = new ClaimClock({ everyMs }, { claims, say: on.log });
  const close = async () => {
    for (const { ledger } of ledgers) ledger?.close();
    await clock.stop();
  };
  return { clock, close };
}
