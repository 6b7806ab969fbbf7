import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';

/*
 * Pages of any origin may call functions and use the API: nothing here goes by cookies or other credentials that a browser
 * adds by itself, so a page can do no more than its own user could with any other program. What changes something is
 * signed, and a page that signs holds the key.
 */
const exposed = 'orb-call, orb-job, orb-node, orb-attempt, orb-receipt, orb-error, retry-after, server-timing';

/** Headers with which a page may read an answer. Flat: name, value. */
export const corsHeaders: readonly string[] = ['access-control-allow-origin', '*', 'access-control-expose-headers', exposed];

/** Whether a browser asks before a request of a page (Fetch standard, CORS-preflight request). */
export function isPreflight({ method, headers }: Pick<IncomingMessage, 'method' | 'headers'>): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;
}

/** Any page may. */
export function sendPreflight({ headers }: Pick<IncomingMessage, 'headers'>, raw: ServerResponse): void {
  const asked = headers['access-control-request-headers'];
  raw.writeHead(204, {
    'access-control-allow-origin': '*',
    'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS',
    ...(asked !== undefined && { 'access-control-allow-headers': asked }),
    'access-control-max-age': '86400',
  });
  raw.end();
}

/** Opens the API below `/v1/` to pages. */
export function apiCors(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ url }, { raw }) => {
    if (!url.startsWith('/v1/')) return;
    // Set and not written: some answers of the API are written by hand.
    for (let i = 0; i < corsHeaders.length; i += 2) raw.setHeader(corsHeaders[i]!, corsHeaders[i + 1]!);
  });
  app.options('/v1/*', async (request, reply) => sendPreflight(request.raw, reply.hijack().raw));
}
