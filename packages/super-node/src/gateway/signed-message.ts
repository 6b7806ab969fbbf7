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

/** Every address under which requests may be signed for a gateway: its own, and on loopback the other names of it. */
export function namesOf(publicUrl: string): readonly string[] {
  const { host, hostname } = new URL(publicUrl);
  return [publicUrl, ...(otherNames[hostname] ?? []).map((name) => publicUrl.replace(host, host.replace(hostname, name)))];
}

function namedBy(host: string | undefined, publicUrl: string): string {
  const asked = host?.toLowerCase();
  return namesOf(publicUrl).find((name) => new URL(name).host === asked) ?? publicUrl;
}

const otherNames: Readonly<Record<string, readonly string[]>> = {
  '127.0.0.1': ['localhost'],
  '[::1]': ['localhost'],
  localhost: ['127.0.0.1', '[::1]'],
};
