import { setTimeout as sleep } from 'node:timers/promises';
import { asOrbError, isOrbError, parseWith, type OrbError, type SuperNodeRecord } from '@orb/protocol';
import { z } from 'zod';
import type { Ledger } from '../port.ts';
import { HttpApi } from './http-api.ts';
import type { RefusalNotice, Refusals } from './refusals.ts';

export interface SpreadOptions {
  readonly ledger: Pick<Ledger, 'range'>;
  readonly refusals: Refusals;
  /** Peers that the ledger's register of super nodes does not name: their addresses. */
  readonly others?: readonly string[];
  /** Somebody could not be reached. */
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
export function startSpreading({ ledger, refusals, others = [], onTrouble, everyMs = 30_000 }: SpreadOptions): {
  /** To be called with each notice that is news. */
  tell(notice: RefusalNotice): Promise<void>;
  stop(): Promise<void>;
} {
  const ending = new AbortController();
  const { signal } = ending;
  const addresses = async (): Promise<string[]> => {
    const registered = await ledger.range('super-node/', { limit: toldMax });
    return [...new Set([...others, ...registered.map(({ value }) => (value as unknown as SuperNodeRecord).gateway)])];
  };
  const trying = async (work: () => Promise<unknown>): Promise<void> => {
    await work().catch((error: unknown) => {
      if (!signal.aborted) onTrouble?.(asOrbError(error));
    });
  };
  const apiOf = (url: string) => new HttpApi({ url, timeoutMs });

  const tell = async (notice: RefusalNotice): Promise<void> => {
    await Promise.all((await addresses()).map((url) => trying(() => apiOf(url).json(path, signal, notice))));
  };
  const ask = async (): Promise<void> => {
    const all = await addresses();
    const url = all[Math.floor(Math.random() * all.length)];
    if (url === undefined) return;
    const answer = parseWith(answerSchema, await apiOf(url).json(path, signal), 'refusals', 'protocol-violation');
    for (const one of answer.refusals) {
      const isNews = await refusals.take(one).catch((error: unknown) => {
        if (!isOrbError(error)) throw error;
        return false;
      });
      if (isNews) await tell(refusals.list().at(-1)!);
    }
  };
  const running = (async () => {
    // What was refused before this start may not have reached everybody.
    for (const notice of refusals.list()) await tell(notice);
    while (!signal.aborted) {
      await sleep(everyMs * (0.5 + Math.random()), undefined, { signal, ref: false }).catch(() => undefined);
      if (!signal.aborted) await trying(ask);
    }
  })();
  return {
    tell,
    async stop() {
      ending.abort();
      await running;
    },
  };
}
