import { createServer, request, type Server } from 'node:http';
import { once } from 'node:events';

/** A door before a registry that asks for a name and a password (RFC 7617). */
export interface GuardedRegistry {
  readonly host: string;
  /** Requests that came, also those that were refused. */
  readonly asked: string[];
  close(): void;
}

export async function guardRegistry(
  registry: string,
  login: { readonly username: string; readonly password: string },
): Promise<GuardedRegistry> {
  const expected = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
  const asked: string[] = [];
  const server: Server = createServer((incoming, outgoing) => {
    asked.push(incoming.url!);
    if (incoming.headers.authorization !== expected)
      return void outgoing.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end('{}');
    const [host, port] = registry.split(':');
    const headers = { ...incoming.headers, authorization: undefined, host: incoming.headers.host };
    const forwarded = request({
      host,
      port,
      method: incoming.method,
      path: incoming.url,
      headers: Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)) as Record<string, string>,
    });
    forwarded.on('response', (response) => response.pipe(outgoing.writeHead(response.statusCode!, response.headers)));
    forwarded.on('error', () => outgoing.destroy());
    incoming.pipe(forwarded);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return { host: `127.0.0.1:${port}`, asked, close: () => (server.closeAllConnections(), void server.close()) };
}
