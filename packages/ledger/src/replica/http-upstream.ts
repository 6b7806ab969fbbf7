import { blockHeaderSchema, hex32, hex64, OrbError, parseWith, type ChainId } from '@orb/protocol';
import { z } from 'zod';
import { HttpApi, type HttpApiOptions } from './http-api.ts';
import type { Upstream } from './upstream.ts';

export interface HttpUpstreamOptions extends HttpApiOptions {
  /** The network that is expected there. */
  readonly chain: ChainId;
}

const networkSchema = z.object({ chain: z.string(), head: blockHeaderSchema });
const cosignaturesOfSchema = z.object({ cosignatures: z.array(z.object({ key: hex32, signature: hex64 })).max(256) });
const committedSchema = z.object({ height: z.int().min(0) });

/**
 * The ledger of a super node as it serves it over HTTP: `GET /v1/network`, `GET /v1/ledger/follow`,
 * `POST /v1/ledger/transactions`. Whatever fails on the way is a retryable `ledger-unavailable`.
 */
export function httpUpstream({ chain, ...options }: HttpUpstreamOptions): Upstream {
  const api = new HttpApi(options);
  return {
    async head(signal) {
      const network = parseWith(networkSchema, await api.json('/v1/network', signal), 'network', 'protocol-violation');
      if (network.chain !== chain) {
        throw new OrbError('wrong-chain', { message: `${api.base} serves another network (${network.chain.slice(0, 12)}…).` });
      }
      return network.head;
    },
    cosignatures: async (height, signal) =>
      parseWith(
        cosignaturesOfSchema,
        await api.json(`/v1/ledger/cosignatures?height=${height}`, signal),
        'cosignatures',
        'protocol-violation',
      ).cosignatures,
    blocks: (from, signal) => api.lines(`/v1/ledger/follow?from=${from}`, signal),
    snapshot: (signal) => api.lines('/v1/ledger/snapshot', signal),
    async submit(transaction, signal) {
      const answer = await api.json('/v1/ledger/transactions', signal, transaction);
      return parseWith(committedSchema, answer, 'committed', 'protocol-violation');
    },
  };
}
