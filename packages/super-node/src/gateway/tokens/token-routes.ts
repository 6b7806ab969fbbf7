import type { FastifyInstance, FastifyRequest } from 'fastify';
import { OrbError, parseWith, type AccountRecord, type Hex32 } from '@orb/protocol';
import type { GatewayContext } from '../gateway-context.ts';
import { readBody, readJson } from '../read-json.ts';
import { tokenRequestSchema, type Token } from './token-book.ts';

/** Tokens for AWS clients, made and ended by signed requests of their account, which the header `orb-account` names. */
export function tokenRoutes(app: FastifyInstance, context: GatewayContext): void {
  app.post('/v1/tokens', async (request, reply) => {
    const { account, key } = await signedBy(context, request);
    const { token, secret } = context.tokens.create(account.id, key, parseWith(tokenRequestSchema, readJson(request), 'token'));
    return reply
      .code(201)
      .header('cache-control', 'no-store')
      .send({ ...describe(token), secretAccessKey: secret });
  });

  app.get('/v1/tokens', async (request) => {
    const { account } = await signedBy(context, request);
    return { tokens: context.tokens.list(account.id).map(describe) };
  });

  app.delete<{ Params: { id: string } }>('/v1/tokens/:id', async (request) => {
    const { account } = await signedBy(context, request);
    context.tokens.revoke(account.id, request.params.id);
    return { revoked: request.params.id };
  });
}

async function signedBy(context: GatewayContext, request: FastifyRequest): Promise<{ account: AccountRecord; key: Hex32 }> {
  context.writeLimit.take(request.ip);
  await context.caughtUp();
  const message = {
    method: request.method,
    url: `${context.publicUrl}${request.raw.url}`,
    headers: request.headers,
    body: readBody(request),
  };
  const identity = context.signedAccess.identify(message);
  if (!identity) throw new OrbError('unauthenticated', { message: 'This request must be signed.' });
  const name = String(request.headers['orb-account'] ?? '');
  const account = context.calls.functions.accountByName(name);
  if (!account) throw new OrbError('unknown-account', { message: `There is no account ${name.slice(0, 64)}.` });
  if (!account.keys.includes(identity.key))
    throw new OrbError('forbidden', { message: `The request is not signed by a key of ${account.name}.` });
  return { account, key: identity.key };
}

function describe({ id, functions, expiresMs, createdMs, label }: Token) {
  return { accessKeyId: id, functions, expiresMs, createdMs, label };
}
