import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { OrbError, parseTransaction } from '@orb/protocol';
import type { Ledger } from '@orb/ledger';
import type { GatewayContext } from '../gateway-context.ts';
import { readJson, readNumber } from '../read-json.ts';
import { blockStream } from './block-stream.ts';

/** The ledger for everyone to read, and for signed transactions to enter. */
export function ledgerRoutes(app: FastifyInstance, { ledger, writeLimit }: Pick<GatewayContext, 'ledger' | 'writeLimit'>): void {
  app.post('/v1/ledger/transactions', async (request) => {
    writeLimit.take(request.ip);
    return ledger.submit(parseTransaction(readJson(request)));
  });

  app.get<{ Params: { id: string } }>('/v1/ledger/transactions/:id', async ({ params }) => {
    const place = await ledger.locate(params.id);
    const transaction = place && (await ledger.block(place.height))?.transactions[place.index];
    if (!transaction) throw notThere('transaction', params.id);
    return { ...place, transaction };
  });

  app.get<{ Querystring: Record<string, string | undefined> }>('/v1/ledger/state', async ({ query }) => {
    if (query['key'] !== undefined) {
      const value = await ledger.get(query['key']);
      if (value === undefined) throw notThere('record', query['key']);
      return { key: query['key'], value };
    }
    if (query['prefix'] === undefined) throw new OrbError('invalid-request', { message: 'Give key or prefix.' });
    const limit = readNumber(query['limit'], 'limit', { min: 1, max: 1_000, default: 100 });
    const after = query['after'];
    return { entries: await ledger.range(query['prefix'], { limit, ...(after !== undefined && { after }) }) };
  });

  app.get<{ Querystring: Record<string, string | undefined> }>('/v1/ledger/history', async ({ query }) => {
    const limit = readNumber(query['limit'], 'limit', { min: 1, max: 1_000, default: 100 });
    return { changes: await ledger.history(query['key'] ?? '', { limit }) };
  });

  app.get<{ Params: { height: string } }>('/v1/ledger/blocks/:height', async ({ params }, reply) => {
    const text = await ledger.blockText(readNumber(params.height, 'height', { min: 0, max: Number.MAX_SAFE_INTEGER, default: 0 }));
    if (text === undefined) throw notThere('block', params.height);
    return reply.type('application/json; charset=utf-8').send(text);
  });

  app.get<{ Querystring: Record<string, string | undefined> }>('/v1/ledger/blocks', async ({ query }, reply) => {
    const from = readNumber(query['from'], 'from', { min: 0, max: Number.MAX_SAFE_INTEGER, default: 0 });
    const limit = readNumber(query['limit'], 'limit', { min: 1, max: 10_000, default: 1_000 });
    return reply.type('application/x-ndjson').send(Readable.from(blockLines(ledger, from, limit)));
  });

  followRoute(app, ledger);
}

/** How many may follow at once, so that strangers cannot use up the sockets and timers of this computer. */
const followersMax = 128;

function followRoute(app: FastifyInstance, ledger: Ledger): void {
  let followers = 0;
  app.get<{ Querystring: Record<string, string | undefined> }>('/v1/ledger/follow', async ({ query }, reply) => {
    const from = readNumber(query['from'], 'from', { min: 0, max: Number.MAX_SAFE_INTEGER, default: 0 });
    if (followers >= followersMax) throw new OrbError('overloaded', { message: 'Too many follow already.', retryAfterMs: 10_000 });
    const ending = new AbortController();
    followers++;
    reply.raw.once('close', () => {
      followers--;
      ending.abort();
    });
    return reply
      .type('application/x-ndjson')
      .headers({ 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
      .send(Readable.from(blockStream(ledger, from, ending.signal)));
  });
}

async function* blockLines(ledger: Ledger, from: number, limit: number): AsyncGenerator<string> {
  const end = Math.min(from + limit, ledger.head.height + 1);
  for (let height = from; height < end; height++) yield `${await ledger.blockText(height)}\n`;
}

/** The error for what this ledger does not hold. */
export function notThere(what: string, id: string): OrbError {
  return new OrbError('not-found', { message: `There is no ${what} ${id.slice(0, 128)} on this ledger.` });
}
