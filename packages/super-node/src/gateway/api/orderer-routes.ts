import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { canonical, OrbError, type Json } from '@orb/protocol';
import { readCertificates, type ChangeDesk } from '@orb/ledger';
import type { GatewayContext } from '../gateway-context.ts';
import { readJson } from '../read-json.ts';

/** Who orders the ledger, how this super node or peer stands to it, and the change to another. */
export function ordererRoutes(
  app: FastifyInstance,
  { ledger, writeLimit, desk }: Pick<GatewayContext, 'ledger' | 'writeLimit' | 'desk'>,
): void {
  app.get('/v1/ledger/orderer', async () => required(desk).standing());

  app.get('/v1/ledger/orderer/changes', async (_, reply) => {
    const certificates = await readCertificates(ledger);
    return reply.type('application/x-ndjson').send(Readable.from(lines(certificates as unknown as readonly Json[])));
  });

  app.get('/v1/ledger/orderer/stand', async () => required(desk).stand());

  app.post('/v1/ledger/orderer/halt', async (request) => {
    writeLimit.take(request.ip);
    return required(desk).halt(readJson(request));
  });

  app.post('/v1/ledger/orderer/sign', async (request) => {
    writeLimit.take(request.ip);
    return required(desk).sign(readJson(request));
  });

  app.post('/v1/ledger/orderer/change', async (request) => {
    writeLimit.take(request.ip);
    return required(desk).take(readJson(request));
  });
}

function* lines(values: readonly Json[]): Generator<string> {
  for (const value of values) yield `${canonical(value)}\n`;
  // A stream of nothing would have no first byte.
  if (values.length === 0) yield '\n';
}

function required(desk: ChangeDesk | undefined): ChangeDesk {
  if (!desk) throw new OrbError('not-supported', { message: 'The orderer of this ledger cannot be changed here.' });
  return desk;
}
