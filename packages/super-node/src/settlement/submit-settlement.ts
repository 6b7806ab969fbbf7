import type { TransactionResult } from '@orb/protocol';
import type { SettlementText } from './settlement-body.ts';
import type { SettlementDependencies, SettlementOptions } from './settlement-options.ts';

type Needs = Pick<SettlementDependencies, 'ledger' | 'own' | 'rules'> & Pick<SettlementOptions, 'chain' | 'signer'>;

/**
 * Signs a settlement and hands it to the ledger, which finds its bytes ready; they are let go of with the answer.
 * @returns the jobs that the ledger did not take
 * @throws OrbError why it took none
 */
export async function submitSettlement(
  settled: SettlementText,
  { ledger, own, rules, chain, signer }: Needs,
): Promise<TransactionResult['rejections']> {
  const transaction = own.sign(chain, 'job.settle', settled, [signer], rules() < 4 ? 1 : 2);
  try {
    // To write it and to run it take about a millisecond each: calls come in between.
    await new Promise(setImmediate);
    return (await ledger.submit(transaction)).rejections;
  } finally {
    own.forget(transaction);
  }
}
