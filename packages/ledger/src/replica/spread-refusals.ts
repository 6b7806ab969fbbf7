import { setTimeout as sleep } from 'node:timers/promises';
import { asOrbError, parseWith, type OrbError, type SuperNodeId, type SuperNodeRecord } from '@orb/protocol';
import { z } from 'zod';
import type { Ledger } from '../port.ts';
import { HttpApi } from './http-api.ts';
import type { RefusalNotice, Refusals } from './refusals.ts';

export interface SpreadOptions {
  readonly ledger: Pick<Ledger, 'range'>;
  readonly refusals: Refusals;
  /** This super node, where it is one. */
  readonly self?: SuperNodeId;
  /** Addresses of peers that the ledger's register of super nodes does not name. */
  readonly others?: readonly string[];
  /** Somebody could not be told. */
  readonly onTrouble?: (error: OrbError) => void;
  /** How often somebody else is asked what he has refused, milliseconds. @default 30000 */
  readonly everyMs?: number;
}

const path = '/v1/ledger/refusals';
const answerSchema = z.object({ refusals: z.array(z.unknown()).max(100) });
/** Super nodes that are told, and of which one is asked. */
const toldMax = 1_000;
const timeoutMs = 5_000;

/** Tells the super nodes on the ledger, and the peers named, what was refused; asks one of them now and then. */
export function startSpreading({ ledger, refusals, self, others = [], onTrouble, everyMs = 30_000 }: SpreadOptions): {
  stop(): Promise<void>;
} {
  const ending = new AbortController();
  const { signal } = ending;
  const addresses = async (): Promise<string[]> => {
    const records = (await ledger.range('super-node/', { limit: toldMax })).map(({ value }) => value as unknown as SuperNodeRecord);
    return [...new Set([...others, ...records.filter(({ id }) => id !== self).map(({ gateway }) => gateway)])];
  };
  const apiOf = (url: string) => new HttpApi({ url, timeoutMs });
  const tell = async (notice: RefusalNotice): Promise<void> => {
    const failed = (error: unknown) => (signal.aborted ? undefined : onTrouble?.(asOrbError(error)));
    await Promise.all((await addresses()).map((url) => apiOf(url).json(path, signal, notice).catch(failed)));
  };
  const ask = async (): Promise<void> => {
    const all = await addresses();
    const url = all[Math.floor(Math.random() * all.length)];
    if (url === undefined) return;
    const answer = parseWith(answerSchema, await apiOf(url).json(path, signal), 'refusals', 'protocol-violation');
    // One that is nothing does not keep us from the next.
    for (const one of answer.refusals) await refusals.take(one).catch(() => false);
  };
  const deaf = refusals.onNews((notice) => void tell(notice));
  const running = (async () => {
    // What was refused before this start may not have reached everybody.
    for (const notice of refusals.list()) await tell(notice);
    while (!signal.aborted) {
      await sleep(everyMs * (0.5 + Math.random()), undefined, { signal, ref: false }).catch(() => undefined);
      // Whoever cannot be asked now is asked another time.
      if (!signal.aborted) await ask().catch(() => undefined);
    }
  })();
  return {
    async stop() {
      deaf();
      ending.abort();
      await running;
    },
  };
}
