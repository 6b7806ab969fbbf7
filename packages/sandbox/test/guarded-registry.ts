import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';

/** A door before a registry that asks for a name and a password (RFC 7617). */
export interface GuardedRegistry {
  readonly host: string;
  /** Requests that came, also those that were refused. */
  readonly asked: string[];
  /** From now on large answers stop half-way. @returns lets them go on */
  hold(): () => void;
  close(): void;
}

const largeBytes = 1_048_576;

export async function guardRegistry(
  registry: string,
  login: { readonly username: string; readonly password: string },
): Promise<GuardedRegistry> {
  const expected = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
  const asked: string[] = [];
  let held: PromiseWithResolvers<void> | undefined;
  const answer = async (response: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    outgoing.writeHead(response.statusCode!, response.headers);
    const size = Number(response.headers['content-length'] ?? 0);
    let sent = 0;
    for await (const piece of response as AsyncIterable<Buffer>) {
      outgoing.write(piece);
      sent += piece.length;
      if (size >= largeBytes && sent * 2 >= size) await held?.promise;
    }
    outgoing.end();
  };
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
    forwarded.on('response', (response) => void answer(response, outgoing).catch(() => outgoing.destroy()));
    forwarded.on('error', () => outgoing.destroy());
    incoming.pipe(forwarded);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    host: `127.0.0.1:${port}`,
    asked,
    hold: () => {
      held = Promise.withResolvers();
      return held.resolve;
    },
    close: () => (held?.resolve(), server.closeAllConnections(), void server.close()),
  };
}
