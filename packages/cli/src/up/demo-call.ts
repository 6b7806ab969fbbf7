import { OrbError, isOrbError } from '@orb/protocol';
import type { JobInfo, Orb } from '@orb/sdk';

export interface DemoCall {
  readonly input: object;
  readonly output: unknown;
  readonly job: JobInfo;
  readonly roundTripMs: number;
}

const paidWithinMs = 30_000;
const pollMs = 50;

/** Calls the example once and waits until the call is paid on the ledger. @throws OrbError when either does not happen */
export async function callAndWait(orb: Orb, path: string, input: object, signal: AbortSignal): Promise<DemoCall> {
  const { output, info } = await orb.call(path, input, { signal });
  if (info.job === undefined) throw new OrbError('protocol-violation', { message: 'The super node did not name the job of the call.' });
  const job = await waitUntilPaid(orb, info.job, signal);
  return { input, output, job, roundTripMs: info.roundTripMs };
}

async function waitUntilPaid(orb: Orb, id: string, signal: AbortSignal): Promise<JobInfo> {
  const deadline = Date.now() + paidWithinMs;
  for (;;) {
    signal.throwIfAborted();
    const info = await orb.job(id).catch((error: unknown) => {
      if (isOrbError(error) && error.code === 'not-found') return undefined;
      throw error;
    });
    if (info?.job.state === 'paid') return info;
    if (Date.now() > deadline) {
      throw new OrbError('internal', {
        message: `Job ${id} was not paid within ${paidWithinMs / 1000} seconds; it is ${info?.job.state ?? 'not on the ledger'}.`,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}
