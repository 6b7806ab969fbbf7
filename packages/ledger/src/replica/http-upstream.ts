import { blockHeaderSchema, errorFromBody, OrbError, isOrbError, parseWith, type ChainId } from '@orb/protocol';
import { z } from 'zod';
import { jsonLines } from './json-lines.ts';
import type { Upstream } from './upstream.ts';

export interface HttpUpstreamOptions {
  /** Address of a super node's gateway, such as `https://super.example:7080`. */
  readonly url: string;
  /** The network that is expected there. */
  readonly chain: ChainId;
  /** How long an answer, or the next sign of life of a stream, may take, milliseconds. @default 30000 */
  readonly timeoutMs?: number;
  /** @default globalThis.fetch */
  readonly fetch?: typeof fetch;
}

/** A block holds 8 MiB of transactions at most; the rest is room. */
const lineBytes = 32 * 1024 * 1024;
const answerBytes = 1024 * 1024;

const networkSchema = z.object({ chain: z.string(), head: blockHeaderSchema });
const committedSchema = z.object({ height: z.int().min(0) });

/**
 * The ledger of a super node as it serves it over HTTP: `GET /v1/network`, `GET /v1/ledger/follow`,
 * `POST /v1/ledger/transactions`. Whatever fails on the way is a retryable `ledger-unavailable`.
 */
export function httpUpstream(options: HttpUpstreamOptions): Upstream {
  const { chain, timeoutMs = 30_000 } = options;
  const base = options.url.replace(/\/+$/, '');
  const request = async (path: string, signal: AbortSignal, init: RequestInit = {}): Promise<Response> => {
    // Browsers and Node alike refuse to run fetch on another receiver than the global object.
    const send = options.fetch ?? ((...args: Parameters<typeof fetch>) => globalThis.fetch(...args));
    const response = await send(`${base}${path}`, { redirect: 'error', ...init, signal });
    if (!response.ok) throw await errorOf(response, base);
    return response;
  };
  const json = (path: string, signal: AbortSignal, init?: RequestInit): Promise<unknown> =>
    reaching(base, async () => {
      const within = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      return JSON.parse(await boundedText(await request(path, within, init))) as unknown;
    });
  return {
    async head(signal) {
      const network = parseWith(networkSchema, await json('/v1/network', signal), 'network', 'protocol-violation');
      if (network.chain !== chain) {
        throw new OrbError('wrong-chain', { message: `${base} serves another network (${network.chain.slice(0, 12)}…).` });
      }
      return network.head;
    },
    async *blocks(from, signal) {
      const ending = new AbortController();
      const within = AbortSignal.any([signal, ending.signal]);
      let timer = setTimeout(() => ending.abort(), timeoutMs);
      const alive = () => {
        clearTimeout(timer);
        timer = setTimeout(() => ending.abort(), timeoutMs);
      };
      try {
        const response = await reaching(base, () => request(`/v1/ledger/follow?from=${from}`, within));
        const lines = jsonLines(response, { lineBytes, alive });
        for (;;) {
          const { done, value } = await reaching(base, () => lines.next());
          if (done) return;
          // While the reader works, nobody waits for the network.
          clearTimeout(timer);
          yield value;
          alive();
        }
      } finally {
        clearTimeout(timer);
        ending.abort();
      }
    },
    async submit(transaction, signal) {
      const body = JSON.stringify(transaction);
      const answer = await json('/v1/ledger/transactions', signal, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      return parseWith(committedSchema, answer, 'committed', 'protocol-violation');
    },
  };
}

/** Errors of the network, whatever they look like, as one that says to try again. */
async function reaching<T>(base: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (isOrbError(cause)) throw cause;
    throw new OrbError('ledger-unavailable', {
      message: `The ledger at ${base} cannot be reached: ${cause instanceof Error ? cause.message : String(cause)}.`,
      cause,
    });
  }
}

async function errorOf(response: Response, base: string): Promise<OrbError> {
  try {
    const { error } = JSON.parse(await boundedText(response)) as { error?: { code?: unknown } };
    if (typeof error?.code === 'string') return errorFromBody(error);
  } catch {
    // Not one of ours.
  }
  return new OrbError('ledger-unavailable', { message: `${base} answered ${response.status}, and not as a super node does.` });
}

async function boundedText(response: Response): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const part of response.body ?? []) {
    text += decoder.decode(part as Uint8Array, { stream: true });
    if (text.length > answerBytes) throw new OrbError('too-large', { message: `The answer is larger than ${answerBytes} bytes.` });
  }
  return text;
}
