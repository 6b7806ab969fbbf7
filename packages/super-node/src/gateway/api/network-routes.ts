import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { hex32, jobTimes, acknowledgementFromRow, OrbError, parseWith, receiptFromRow, stateKeys, type JobRecord } from '@orb/protocol';
import { describeNode } from '../../analytics/status.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { readJson, readNumber } from '../read-json.ts';

const faucetRequest = z.strictObject({ account: hex32 });

/** What this network is, what happens on it, and test money. */
export function networkRoutes(app: FastifyInstance, context: GatewayContext): void {
  const { ledger, genesis, calls } = context;

  app.get('/v1/network', async () => ({
    name: genesis.name,
    network: genesis.network,
    chain: ledger.chain,
    genesis,
    parameters: calls.parameters(),
    head: ledger.head,
    superNode: (await ledger.get(stateKeys.superNode(context.superNode))) ?? { id: context.superNode },
    software: context.software,
  }));

  app.get('/v1/status', () => context.statusFeed.take());

  app.get('/v1/nodes', async () => ({ nodes: [...calls.nodes.sessions()].map((node) => describeNode(node, calls.functions)) }));

  app.get<{ Querystring: Record<string, string | undefined> }>('/v1/jobs', async ({ query }) => ({
    jobs: calls.recentJobs.list(readNumber(query['limit'], 'limit', { min: 1, max: 200, default: 50 })),
  }));

  app.get<{ Params: { id: string } }>('/v1/jobs/:id', async ({ params }) => describeJob(params.id, context));

  app.get<{ Params: { id: string } }>('/v1/jobs/:id/end', async ({ params }) => {
    const end = context.endedStreams.get(params.id);
    if (!end) throw new OrbError('not-found', { message: `No answer of job ${params.id.slice(0, 64)} has streamed through here lately.` });
    return end;
  });

  app.post('/v1/faucet', async (request) => {
    if (!context.faucet) throw new OrbError('not-supported', { message: 'This network has no faucet here.' });
    return context.faucet.grant(parseWith(faucetRequest, readJson(request), 'faucet').account, request.ip);
  });

  app.get('/v1/events', async (_request, reply) => {
    if (context.statusFeed.full) throw new OrbError('overloaded', { message: 'Too many pages watch already.', retryAfterMs: 10_000 });
    const first = JSON.stringify(await context.statusFeed.take());
    const { raw } = reply.hijack();
    raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    const send = (text: string) => {
      // A page that does not read loses snapshots, not our memory: the next one says it all again.
      if (raw.writableLength < 1_000_000) raw.write(`event: status\ndata: ${text}\n\n`);
    };
    send(first);
    const stop = context.statusFeed.listen(send);
    raw.on('close', stop);
  });
}

async function describeJob(id: string, { ledger, calls }: GatewayContext): Promise<object> {
  const job = await ledger.job(id);
  if (!job) {
    throw new OrbError('not-found', {
      message: `Job ${id.slice(0, 64)} is not on the ledger.`,
      hint: 'A job appears about a second after its call.',
    });
  }
  return { job, times: timesOf(job), function: calls.functions.get(job.ticket[4])?.fullName ?? null };
}

function timesOf(job: JobRecord): object | null {
  if (!job.receipt || !job.acknowledgement) return null;
  const paid = job.changes.find(({ to }) => to === 'paid');
  return jobTimes(receiptFromRow(job.receipt), acknowledgementFromRow(job.acknowledgement), paid?.time);
}
