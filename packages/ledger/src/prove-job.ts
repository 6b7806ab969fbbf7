import { rowsOfJob, transactionId, type Cosignature, type JobProof, type TransactionResult } from '@orb/protocol';
import { readCertificates } from './epochs.ts';
import type { Ledger } from './port.ts';

/**
 * The proof of a job: of the last transaction that holds a row of it. Undefined when the ledger has no such job.
 * @param cosignaturesOf the co-signatures of a block, when peers co-sign
 */
export async function proveJob(
  ledger: Ledger,
  job: string,
  cosignaturesOf: (height: number) => Promise<readonly Cosignature[]> = () => Promise.resolve([]),
): Promise<JobProof | undefined> {
  const record = await ledger.job(job);
  const heights = [...new Set(record?.changes.map(({ height }) => height))].toReversed();
  for (const height of heights) {
    const block = await ledger.block(height);
    const transaction = block?.transactions.findLast((one) => rowsOfJob(one, job).length > 0);
    const proof = transaction && (await ledger.prove(transactionId(transaction)));
    if (!proof) continue;
    const [cosignatures, results] = await Promise.all([cosignaturesOf(height), resultsOf(ledger, height)]);
    const file = {
      type: 'orb-job-proof' as const,
      job,
      genesis: ledger.genesis,
      proof: { ...proof, cosignatures: [...cosignatures] },
      results,
    };
    const { epoch } = proof.header;
    if (epoch === 1) return { v: 1, ...file };
    const changes = (await readCertificates(ledger)).filter(({ change }) => change.epoch <= epoch);
    return { v: 2, ...file, changes };
  }
  return undefined;
}

/** What the transactions of a block did, as a follower from there is told. */
function resultsOf(ledger: Ledger, height: number): Promise<readonly TransactionResult[]> {
  return new Promise((resolve) => {
    const following = ledger.follow(height, ({ results }) => {
      following.stop();
      resolve(results);
    });
  });
}
