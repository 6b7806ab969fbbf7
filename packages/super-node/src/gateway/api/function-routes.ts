import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { asOrbError, isHex32, limits, OrbError, parseWith, stateKeys, type VersionRecord } from '@orb/protocol';
import { z } from 'zod';
import { readLogQuery, sendLogs } from '../../logs/send-logs.ts';
import { isPrivate, type FunctionEntry } from '../../registry/function-registry.ts';
import { seedFunction } from '../../seeding/seed-function.ts';
import { publicError } from '../errors.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { readBody, readJson, readNumber } from '../read-json.ts';
import { signedMessage } from '../signed-message.ts';

/** A route below one function. */
export interface FunctionPath {
  readonly Params: { owner: string; name: string };
}

interface OwnersPath extends FunctionPath {
  readonly Querystring: Record<string, string | undefined>;
}

/** The catalogue, code uploads and downloads, logs and seeding. */
export function functionRoutes(app: FastifyInstance, context: GatewayContext): void {
  app.get<{ Querystring: Record<string, string | undefined> }>('/v1/functions', async ({ query }) => {
    const limit = readNumber(query['limit'], 'limit', { min: 1, max: 1_000, default: 100 });
    return { functions: listFunctions(context, query['search'] ?? '', query['after'] ?? '', limit) };
  });

  app.get<FunctionPath>('/v1/functions/:owner/:name', async ({ params }) => {
    await context.caughtUp();
    const entry = findFunction(context, params);
    const [current] = entry.versions[0] ?? [];
    const { replica: _, ...version } = current ?? {};
    return { ...summary(context, entry), record: entry.record, version: current ? version : null };
  });

  app.put<{ Params: { sha256: string } }>('/v1/code/:sha256', { bodyLimit: limits.codeBytes }, async (request, reply) => {
    context.writeLimit.take(request.ip);
    await context.caughtUp();
    requireDeveloper(context, request);
    const { sha256 } = request.params;
    if (!isHex32(sha256)) throw new OrbError('invalid-request', { message: 'The address must end in the SHA-256 of the code.' });
    const held = await context.store.has(sha256);
    if (!held) await context.store.put(sha256, readBody(request));
    return reply.code(held ? 200 : 201).send({ sha256 });
  });

  app.get<OwnersPath>('/v1/functions/:owner/:name/logs', async (request, reply) => {
    const entry = await ownFunction(context, request);
    sendLogs(entry.record.id, readLogQuery(request.query), () => reply.hijack().raw, context.calls.logs);
  });

  app.get<OwnersPath>('/v1/functions/:owner/:name/code', async (request, reply) => {
    const entry = await ownFunction(context, request);
    const id = request.query['version'] ?? entry.versions[0]?.[0].id ?? '';
    const version = isHex32(id) ? await context.ledger.get(stateKeys.version(entry.record.id, id)) : undefined;
    if (!version) throw new OrbError('not-found', { message: `${entry.fullName} has no version ${id.slice(0, 64)}.` });
    const { sha256 } = (version as unknown as VersionRecord).manifest.code;
    const code = await context.store.get(sha256);
    if (!code)
      throw new OrbError('not-found', {
        message: `The code of version ${id.slice(0, 12)}… is not held here any more.`,
        hint: 'Ask another super node of this network.',
      });
    return reply.type('application/octet-stream').header('x-content-type-options', 'nosniff').send(Buffer.from(code));
  });

  app.post<FunctionPath>('/v1/functions/:owner/:name/seed', async (request, reply) => {
    const entry = await ownFunction(context, request);
    const { progress = false } = readBody(request).length > 0 ? parseWith(seedOptionsSchema, readJson(request), 'seed') : {};
    return reply.type('application/x-ndjson').send(Readable.from(seedLines(context, entry, progress)));
  });
}

/** What only the owner may ask for. @throws OrbError `unauthenticated`, `forbidden`, `unknown-function`, `rate-limited` */
async function ownFunction(context: GatewayContext, request: FastifyRequest<FunctionPath>): Promise<FunctionEntry> {
  context.writeLimit.take(request.ip);
  await context.caughtUp();
  context.signedAccess.requireAccount(signedMessage(context, request), request.params.owner);
  return findFunction(context, request.params);
}

/** Any account may bring code; whose it is, the ledger says. The account is named in the header `orb-account`. */
function requireDeveloper(context: GatewayContext, request: FastifyRequest): void {
  const account = context.signedAccess.requireAccount(signedMessage(context, request), String(request.headers['orb-account'] ?? ''));
  if (!account.roles.includes('developer')) throw new OrbError('forbidden', { message: `${account.name} is not a developer account.` });
}

/** @param progress also tells how far images are, which clients of before cannot read */
const seedOptionsSchema = z.object({ progress: z.boolean().optional() });
/** How long a node is waited for that fetches an image: as long as it may take it. */
const fetchWaitMs = 600_000;

/** Seeds every version that takes calls; one line a step. */
async function* seedLines(context: GatewayContext, entry: FunctionEntry, progress: boolean): AsyncGenerator<string> {
  try {
    let total = { ready: 0, wanted: 0 };
    for (const [version] of entry.versions) {
      const steps = seedFunction(entry, version, context.seeding, fetchWaitMs);
      for (let step = await steps.next(); ; step = await steps.next()) {
        if (step.done) {
          total = { ready: total.ready + step.value.ready, wanted: total.wanted + step.value.wanted };
          break;
        }
        if (progress || step.value.type !== 'fetching') yield `${JSON.stringify(step.value)}\n`;
      }
    }
    yield `${JSON.stringify({ type: 'done', ...total })}\n`;
  } catch (error) {
    yield `${JSON.stringify({ type: 'failed', error: publicError(asOrbError(error)) })}\n`;
  }
}

/** @throws OrbError `unknown-function` */
export function findFunction(context: GatewayContext, { owner, name }: FunctionPath['Params']): FunctionEntry {
  const entry = context.calls.functions.find(owner, name);
  if (!entry) throw new OrbError('unknown-function', { message: `There is no function ${owner.slice(0, 64)}/${name.slice(0, 64)}.` });
  return entry;
}

function listFunctions(context: GatewayContext, search: string, after: string, limit: number): object[] {
  const names = [...context.calls.functions.entries()].filter((entry) => {
    return entry.fullName.includes(search) && entry.fullName > after && entry.record.state !== 'decommissioned' && !isPrivate(entry);
  });
  return names
    .sort((a, b) => (a.fullName < b.fullName ? -1 : 1))
    .slice(0, limit)
    .map((entry) => summary(context, entry));
}

function summary({ calls, publicUrl }: GatewayContext, entry: FunctionEntry) {
  const version = entry.versions[0]?.[0];
  const seeders = version ? [...calls.nodes.seeders(version.replica)] : [];
  return {
    owner: entry.ownerName,
    name: entry.record.name,
    id: entry.record.id,
    state: entry.record.state,
    versionNumber: version?.number ?? null,
    replicas: { ready: seeders.length, wanted: version?.manifest.replicas ?? 0, nodes: seeders.map(({ id }) => id) },
    url: `${publicUrl}/fn/${entry.fullName}`,
  };
}
