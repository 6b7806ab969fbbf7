import { readFileSync } from 'node:fs';
import type { FastifyInstance } from 'fastify';
import { functionRoutes } from './api/function-routes.ts';
import { finalityRoutes } from './api/finality-routes.ts';
import { ledgerRoutes } from './api/ledger-routes.ts';
import { networkRoutes } from './api/network-routes.ts';
import { ordererRoutes } from './api/orderer-routes.ts';
import { secretRoutes } from './api/secret-routes.ts';
import { snapshotRoute } from './api/snapshot-route.ts';
import { apiCors } from './cors.ts';
import { createApp, type GatewayOptions } from './app.ts';
import { functionRoute } from './function-route.ts';
import type { GatewayContext } from './gateway-context.ts';
import { invokeRoute } from './lambda/invoke-route.ts';
import { openLane } from './lane/lane.ts';
import { dropRest } from './read-body.ts';
import { tokenRoutes } from './tokens/token-routes.ts';

/** The HTTP side of a super node: calls, the API, the status page. */
export function createGateway(options: GatewayOptions, context: GatewayContext): FastifyInstance {
  const app = createApp(options, context.log);
  void app.register(async (calls) => functionRoute(calls as unknown as FastifyInstance, context));
  void app.register(async (rest) => {
    const api = rest as unknown as FastifyInstance;
    apiCors(api);
    // A GET's body is read by nobody.
    api.addHook('onResponse', async (request) => dropRest(request.raw));
    networkRoutes(api, context);
    functionRoutes(api, context);
    secretRoutes(api, context);
    ledgerRoutes(api, context);
    tokenRoutes(api, context);
    invokeRoute(api, context);
    finalityRoutes(api, context);
    ordererRoutes(api, context);
    snapshotRoute(api, context);
    statusPage(api);
  });
  // Behind a proxy the caller's address is for the proxy's headers to say, which the whole server reads.
  if (options.trustedProxies.length === 0) {
    const closeLane = openLane(app.server, options.tls ? 'secureConnection' : 'connection', context);
    app.addHook('preClose', async () => closeLane());
  }
  return app;
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
