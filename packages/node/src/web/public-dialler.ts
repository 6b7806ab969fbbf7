import { isIP } from 'node:net';
import { OrbError } from '@orb/protocol';
import { Agent, buildConnector } from 'undici';
import type { Internet } from './internet.ts';
import { isPublicAddress } from './public-address.ts';

const connectMs = 10_000;
/** Addresses of a name that are tried. */
const maxTries = 3;
/** Connections of one function that stay open for its next request, and for how long. */
const connectionsPerHost = 8;
const keepAliveMs = 10_000;
const maxHeaderBytes = 16_384;

/**
 * An HTTP client that reaches the public internet and nothing else: a name is resolved once for each connection, every
 * address of it must be public, and one of those very addresses is dialled, so that a name server cannot change its mind
 * in between. The name stays in TLS (SNI, certificate) and in the Host header.
 */
export function publicDialler(internet: Internet): Agent {
  const connector = buildConnector({ timeout: connectMs, allowH2: false });
  return new Agent({
    connect: (options, settle) => {
      void dial(connector, options, internet).then(
        (socket) => settle(null, socket),
        (error: Error) => settle(error, null),
      );
    },
    connections: connectionsPerHost,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: keepAliveMs,
    maxHeaderSize: maxHeaderBytes,
  });
}

type Socket = Parameters<buildConnector.Callback>[1] & object;

async function dial(connector: buildConnector.connector, options: buildConnector.Options, internet: Internet): Promise<Socket> {
  const host = options.hostname.replace(/^\[|\]$/g, '');
  const addresses = isIP(host) ? [host] : await internet.resolve(host);
  const local = internet.localNetworks();
  // One that is not public is a reason to trust none of them.
  if (addresses.length === 0 || !addresses.every((address) => isPublicAddress(address, local)))
    throw new OrbError('forbidden', { message: `${host} is not on the public internet.` });
  let failure: Error | undefined;
  for (const address of addresses.slice(0, maxTries)) {
    const port = Number(options.port || (options.protocol === 'https:' ? 443 : 80));
    const place = internet.dial?.(address, port) ?? { host: address, port };
    // Of an address there is no name to show or to check a certificate against but itself.
    const servername = isIP(host) ? undefined : host;
    try {
      return await connect(connector, {
        ...options,
        hostname: place.host,
        port: String(place.port),
        ...(options.protocol === 'https:' && servername !== undefined && { servername }),
      });
    } catch (error) {
      failure = error as Error;
    }
  }
  throw failure!;
}

function connect(connector: buildConnector.connector, options: buildConnector.Options): Promise<Socket> {
  return new Promise((resolve, reject) => {
    connector(options, (error, socket) => (error ? reject(error) : resolve(socket as Socket)));
  });
}
