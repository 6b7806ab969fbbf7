import { readFileSync } from 'node:fs';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { asOrbError, isOrbError, limits, OrbError } from '@orb/protocol';
import { functionRoutes } from './api/function-routes.ts';
import { finalityRoutes } from './api/finality-routes.ts';
import { ledgerRoutes } from './api/ledger-routes.ts';
import { networkRoutes } from './api/network-routes.ts';
import { fromFastify, sendError } from './errors.ts';
import { functionRoute } from './function-route.ts';
import type { GatewayContext } from './gateway-context.ts';
import { dropRest, readWhole } from './read-body.ts';
import { corsHeaders } from './send-reply.ts';

export interface GatewayOptions {
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  /** Addresses of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
}

/** The HTTP side of a super node: calls, the API, the status page. */
export function createGateway(options: GatewayOptions, context: GatewayContext): FastifyInstance {
  const app = Fastify({
    bodyLimit: limits.bodyBytes,
    trustProxy: options.trustedProxies.length > 0 && [...options.trustedProxies],
    routerOptions: { maxParamLength: 200, ignoreTrailingSlash: false },
    keepAliveTimeout: 72_000,
    forceCloseConnections: true,
    ...(options.tls && { https: { ...options.tls, minVersion: 'TLSv1.3' as const } }),
  }) as unknown as FastifyInstance;
  // Bodies have limits of their own: one that streams may take as long as its function does.
  app.server.requestTimeout = 0;
  app.server.headersTimeout = 60_000;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (request: FastifyRequest, _payload, done: (error: Error | null, body?: Buffer) => void) =>
    readWhole(request.raw, request.routeOptions.bodyLimit, done),
  );
  app.setErrorHandler((error, request, reply) => {
    const known = isOrbError(error) ? error : fromFastify(error as Error);
    if (known.code === 'internal') context.log.error('a request failed', { url: request.url, error: String((error as Error).stack) });
    const { raw } = reply.hijack();
    raw.once('close', () => dropRest(request.raw));
    sendError(raw, asOrbError(known), headersFor(request.url));
  });
  app.setNotFoundHandler((request, reply) => {
    sendError(
      reply.hijack().raw,
      new OrbError('not-found', {
        message: `There is no ${request.method} ${request.url.slice(0, 128)} here.`,
        hint: 'Functions are at /fn/OWNER/NAME.',
      }),
      headersFor(request.url),
    );
  });
  void app.register(async (calls) => functionRoute(calls as unknown as FastifyInstance, context));
  void app.register(async (rest) => {
    const api = rest as unknown as FastifyInstance;
    // A GET's body is read by nobody.
    api.addHook('onResponse', async (request) => dropRest(request.raw));
    networkRoutes(api, context);
    functionRoutes(api, context);
    ledgerRoutes(api, context);
    finalityRoutes(api, context);
    statusPage(api);
  });
  return app;
}

/** A refusal that comes before the function's route is a function's answer all the same. */
function headersFor(url: string): readonly string[] {
  return url.startsWith('/fn/') ? corsHeaders : [];
}

function statusPage(app: FastifyInstance): void {
  const file = (name: string) => readFileSync(new URL(`./status-page/${name}`, import.meta.url));
  const pages = [
    ['/', 'index.html', 'text/html; charset=utf-8'],
    ['/status.css', 'status.css', 'text/css; charset=utf-8'],
    ['/status.js', 'status.js', 'text/javascript; charset=utf-8'],
  ] as const;
  for (const [path, name, type] of pages) {
    const content = file(name);
    app.get(path, (_request, reply) => {
      return reply
        .type(type)
        .header(
          'content-security-policy',
          "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'",
        )
        .header('x-content-type-options', 'nosniff')
        .header('referrer-policy', 'no-referrer')
        .header('cache-control', 'no-cache')
        .send(content);
    });
  }
}
