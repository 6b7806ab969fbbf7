import type { FastifyInstance, FastifyRequest } from 'fastify';
import { hex32, limits, listOf, OrbError, parseWith, secretName, sequence } from '@orb/protocol';
import { z } from 'zod';
import type { FunctionEntry } from '../../registry/function-registry.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { readJson } from '../read-json.ts';
import { signedMessage } from '../signed-message.ts';
import { findFunction, type FunctionPath } from './function-routes.ts';

const box = z
  .base64()
  .max(Math.ceil(limits.secretBoxBytes / 3) * 4)
  .transform((text) => Buffer.from(text, 'base64'));

const updateSchema = z.strictObject({
  v: z.literal(1),
  number: sequence,
  names: listOf(secretName, 0, limits.secrets),
  boxes: listOf(z.tuple([hex32, box]), 0, limits.secretBoxesAtOnce, ([node]) => node),
});

/**
 * The sealed boxes of a function's secrets, handed in and asked after by requests that the function's control key has
 * signed: the account's key does not do, as it changes no function either.
 */
export function secretRoutes(app: FastifyInstance, context: GatewayContext): void {
  app.get<FunctionPath>('/v1/functions/:owner/:name/secrets', async (request, reply) => {
    const entry = await controlled(context, request);
    return reply.header('cache-control', 'no-store').send(context.secrets.describe(entry));
  });

  app.put<FunctionPath>('/v1/functions/:owner/:name/secrets', async (request) => {
    const entry = await controlled(context, request);
    await context.secrets.put(entry, parseWith(updateSchema, readJson(request), 'secrets'));
    return context.secrets.describe(entry);
  });
}

/** @throws OrbError `unauthenticated`, `forbidden`, `unknown-function`, `gone`, `rate-limited` */
async function controlled(context: GatewayContext, request: FastifyRequest<FunctionPath>): Promise<FunctionEntry> {
  context.writeLimit.take(request.ip);
  await context.caughtUp();
  const entry = findFunction(context, request.params);
  if (entry.record.state === 'decommissioned') throw new OrbError('gone');
  const identity = context.signedAccess.identify(signedMessage(context, request));
  if (!identity) throw new OrbError('unauthenticated', { message: 'This request must be signed by the function’s control key.' });
  if (identity.key !== entry.record.controlKey)
    throw new OrbError('forbidden', { message: `The request is not signed by the control key of ${entry.fullName}.` });
  return entry;
}
