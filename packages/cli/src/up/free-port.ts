import { createServer } from 'node:net';
import { OrbError } from '@orb/protocol';

const tries = 50;

/**
 * The first port from `wanted` on that nobody listens on, on this machine's loopback.
 * @param taken ports that are spoken for already
 * @throws OrbError `internal` when none of the next 50 is free
 */
export async function freePort(wanted: number, taken: ReadonlySet<number> = new Set()): Promise<number> {
  for (let port = wanted; port < Math.min(wanted + tries, 65_536); port++) {
    if (!taken.has(port) && (await isFree(port))) return port;
  }
  throw new OrbError('internal', { message: `No port from ${wanted} to ${wanted + tries} is free.` });
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
