import type { FastifyRequest } from 'fastify';
import type { SignedMessage } from './signed-access.ts';
import { readBody } from './read-json.ts';

/**
 * A request as its signer addressed it: by the gateway's own public address, never by whatever the Host header says,
 * or a request signed for another super node would pass. A gateway on loopback has two names, and only those.
 */
export function signedMessage({ publicUrl }: { readonly publicUrl: string }, request: FastifyRequest): SignedMessage {
  const url = `${namedBy(request.headers.host, publicUrl)}${request.raw.url}`;
  return { method: request.method, url, headers: request.headers, body: readBody(request) };
}

function namedBy(host: string | undefined, publicUrl: string): string {
  const own = new URL(publicUrl);
  const others = otherNames[own.hostname] ?? [];
  const asked = others.map((name) => own.host.replace(own.hostname, name)).find((other) => other === host?.toLowerCase());
  return asked === undefined ? publicUrl : publicUrl.replace(own.host, asked);
}

const otherNames: Readonly<Record<string, readonly string[]>> = {
  '127.0.0.1': ['localhost'],
  '[::1]': ['localhost'],
  localhost: ['127.0.0.1', '[::1]'],
};
