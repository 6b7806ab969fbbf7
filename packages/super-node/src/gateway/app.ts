import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { asOrbError, isOrbError, limits, OrbError } from '@orb/protocol';
import type { Log } from '../log.ts';
import { corsHeaders } from './cors.ts';
import { fromFastify, sendError } from './errors.ts';
import { dropRest, readWhole } from './read-body.ts';

export interface GatewayOptions {
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  /** Addresses of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
}

/** An HTTP server without routes: bounded bodies as bytes, errors as Orb tells them. */
export function createApp(options: GatewayOptions, log: Log): FastifyInstance {
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
    if (known.code === 'internal') log.error('a request failed', { url: request.url, error: String((error as Error).stack) });
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
  return app;
}

/** A refusal that comes before a route is found is there for pages to read all the same. */
function headersFor(url: string): readonly string[] {
  return url.startsWith('/fn/') || url.startsWith('/v1/') ? corsHeaders : [];
}
