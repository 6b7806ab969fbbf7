import type { FastifyInstance } from 'fastify';
import { proveClosed, proveJob } from '@orb/ledger';
import { OrbError, parseWith, hex32 } from '@orb/protocol';
import type { GatewayContext } from '../gateway-context.ts';
import { readJson, readNumber } from '../read-json.ts';
import { notThere } from './ledger-routes.ts';

/** Co-signatures of peers, what they have refused, and proofs: for anybody, and for the contracts. */
export function finalityRoutes(
  app: FastifyInstance,
  {
    ledger,
    cosignatures,
    refusals,
    writeLimit,
    statusFeed,
  }: Pick<GatewayContext, 'ledger' | 'cosignatures' | 'refusals' | 'writeLimit'> & Partial<Pick<GatewayContext, 'statusFeed'>>,
): void {
  const of = async (height: number) => [...((await cosignatures?.of(height)) ?? [])];

  app.get<{ Querystring: Record<string, string | undefined> }>('/v1/ledger/cosignatures', async ({ query }) => {
    if (query['height'] !== undefined) {
      const height = readNumber(query['height'], 'height', { min: 0, max: Number.MAX_SAFE_INTEGER, default: 0 });
      return { height, cosignatures: await of(height) };
    }
    if (query['key'] !== undefined) {
      const key = parseWith(hex32, query['key'], 'key');
      return { key, height: (await required(cosignatures).heightOf(key)) ?? null };
    }
    return (await cosignatures?.status()) ?? { source: 'none', needed: 1, head: ledger.head.height, final: null, peers: [] };
  });

  app.post('/v1/ledger/cosignatures', async (request) => {
    writeLimit.take(request.ip);
    const added = await required(cosignatures).add(readJson(request));
    statusFeed?.changed();
    return added;
  });

  app.get('/v1/ledger/refusals', async () => ({ refusals: refusals?.list() ?? [] }));

  app.post('/v1/ledger/refusals', async (request) => {
    writeLimit.take(request.ip);
    return { news: (await refusals?.take(readJson(request))) ?? false };
  });

  app.get<{ Params: { id: string } }>('/v1/ledger/transactions/:id/proof', async ({ params }) => {
    const proof = await ledger.prove(params.id);
    if (!proof) throw notThere('transaction', params.id);
    return { ...proof, cosignatures: await of(proof.header.height) };
  });

  app.get<{ Params: { id: string } }>('/v1/jobs/:id/proof', async ({ params }) => {
    const proof = await proveJob(ledger, params.id, of);
    if (!proof) throw notThere('job', params.id);
    return proof;
  });

  app.get<{ Params: { id: string } }>('/v1/jobs/:id/closed', async ({ params }) => proveClosed(ledger, params.id));
}

function required<T>(book: T | undefined): T {
  if (!book) throw new OrbError('not-supported', { message: 'This super node keeps no co-signatures.' });
  return book;
}
