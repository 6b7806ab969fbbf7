import { setTimeout as sleep } from 'node:timers/promises';
import {
  asOrbError,
  ordererCertificateSchema,
  parseWith,
  type Hex32,
  type OrbError,
  type OrdererCertificate,
  type SuperNodeRecord,
} from '@orb/protocol';
import { z } from 'zod';
import type { Ledger } from '../port.ts';
import { HttpApi } from '../replica/http-api.ts';
import { examineChange, type ChangeAhead } from './examine-change.ts';

/** How another stands, as far as this one wants to know. */
const standingSchema = z.object({
  epoch: z.int().min(1),
  key: z.string().max(64),
  ordering: z.boolean(),
  head: z.object({ height: z.int().min(0) }),
});

/** How another says that it stands. Nothing of it is believed before it has been checked. */
export interface Elsewhere {
  readonly url: string;
  readonly epoch: number;
  readonly key: Hex32;
  readonly ordering: boolean;
  readonly height: number;
}

export interface AskOptions {
  /** Super nodes asked at most. @default 32 */
  readonly most?: number;
  readonly timeoutMs?: number;
}

const toldMax = 1_000;
const changesMax = 1_000;

/** The gateways of the super nodes on a ledger, and others that are named. */
export async function gatewaysOf(
  ledger: Pick<Ledger, 'range'>,
  { self, others = [] }: { readonly self?: string | undefined; readonly others?: readonly string[] },
): Promise<string[]> {
  const records = (await ledger.range('super-node/', { limit: toldMax })).map(({ value }) => value as unknown as SuperNodeRecord);
  return [...new Set([...others, ...records.filter(({ id }) => id !== self).map(({ gateway }) => gateway)])];
}

/** How a super node or peer stands; undefined when it does not answer, or is of a version before. */
export async function askStanding(
  url: string,
  signal: AbortSignal,
  { timeoutMs = 2_000 }: AskOptions = {},
): Promise<Elsewhere | undefined> {
  try {
    const answer = await new HttpApi({ url, timeoutMs }).json('/v1/ledger/orderer', signal);
    const { epoch, key, ordering, head } = parseWith(standingSchema, answer, 'orderer', 'protocol-violation');
    return { url, epoch, key, ordering, height: head.height };
  } catch {
    return undefined;
  }
}

/** How those stand who answer. */
export async function askAll(
  urls: readonly string[],
  signal: AbortSignal,
  { most = 32, timeoutMs = 2_000 }: AskOptions = {},
): Promise<readonly Elsewhere[]> {
  const some = urls.length <= most ? urls : urls.toSorted(() => Math.random() - 0.5).slice(0, most);
  return (await Promise.all(some.map((url) => askStanding(url, signal, { timeoutMs })))).filter((one) => one !== undefined);
}

/** The changes that a super node tells of, oldest first. */
async function fetchCertificates(url: string, signal: AbortSignal): Promise<readonly OrdererCertificate[]> {
  const found: OrdererCertificate[] = [];
  for await (const line of new HttpApi({ url, timeoutMs: 10_000 }).lines('/v1/ledger/orderer/changes', signal)) {
    found.push(parseWith(ordererCertificateSchema, line, 'certificate', 'protocol-violation'));
    if (found.length >= changesMax) break;
  }
  return found;
}

/**
 * Whether any of those who answer knows of a change of the orderer that this copy does not have, and that holds: the first
 * of them. Who tells of one that does not hold is passed over.
 */
export async function findChange(
  ledger: Pick<Ledger, 'chain' | 'genesis' | 'head' | 'header' | 'get'>,
  urls: readonly string[],
  signal: AbortSignal,
  onTrouble?: (error: OrbError) => void,
): Promise<ChangeAhead | undefined> {
  const ahead = (await askAll(urls, signal)).filter(({ epoch }) => epoch > ledger.head.epoch).sort((a, b) => b.epoch - a.epoch);
  for (const { url } of ahead) {
    try {
      const found = await examineChange(ledger, await fetchCertificates(url, signal));
      if (found) return found;
    } catch (error) {
      if (!signal.aborted) onTrouble?.(asOrbError(error));
    }
  }
  return undefined;
}

export interface WatchOptions {
  readonly ledger: Pick<Ledger, 'chain' | 'genesis' | 'head' | 'header' | 'get' | 'range'>;
  /** Id of this super node, where it is one. */
  readonly self?: string;
  /** Gateways beside those of the super nodes on the ledger. */
  readonly others?: readonly string[];
  /** A change has been checked that this copy does not have. */
  readonly onChange: (ahead: ChangeAhead) => Promise<void>;
  readonly onTrouble?: (error: OrbError) => void;
  /** How often one other is asked, milliseconds. @default 5000 */
  readonly everyMs?: number;
}

/** Asks one of the others now and then whether the ledger has another orderer: who follows one that is gone, or orders himself, would not hear of it. */
export function startChangeWatch({ ledger, self, others = [], onChange, onTrouble, everyMs = 5_000 }: WatchOptions): {
  stop(): Promise<void>;
} {
  const ending = new AbortController();
  const { signal } = ending;
  const running = (async () => {
    for (;;) {
      await sleep(everyMs * (0.5 + Math.random()), undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        const all = await gatewaysOf(ledger, { self, others });
        const url = all[Math.floor(Math.random() * all.length)];
        const found = url === undefined ? undefined : await findChange(ledger, [url], signal, onTrouble);
        if (found && !signal.aborted) await onChange(found);
      } catch (error) {
        // Such as a disk that is full: it is tried again.
        if (!signal.aborted) onTrouble?.(asOrbError(error));
      }
    }
  })();
  return {
    async stop() {
      ending.abort();
      await running.catch(() => undefined);
    },
  };
}
