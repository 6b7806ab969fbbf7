import { OrbError } from '@orb/protocol';
import type { ReplySink } from './reply-sink.ts';

/** Sends an error in its one form, marked so that no function's own answer can be taken for it, with Retry-After where waiting helps. @param headers flat name, value list */
export function sendError(raw: ReplySink, error: OrbError, headers: readonly string[] = []): void {
  if (raw.headersSent || raw.destroyed) {
    raw.destroy();
    return;
  }
  const reply = errorReply(error, headers);
  raw.writeHead(error.status, reply.headers);
  raw.end(reply.body);
}

/** An error as its headers, names and values in turn, and its body. */
export function errorReply(error: OrbError, headers: readonly string[]): { readonly headers: string[]; readonly body: Buffer } {
  const body = Buffer.from(JSON.stringify({ error: publicError(error) }));
  const all = [...headers, 'orb-error', error.code, 'content-type', 'application/json', 'content-length', String(body.byteLength)];
  if (error.retryable) all.push('retry-after', String(Math.max(1, Math.ceil((error.retryAfterMs ?? 1_000) / 1000))));
  return { headers: all, body };
}

/** What a stranger may read of an error: for our own failures not a word more than the table says. */
export function publicError(error: OrbError): object {
  return error.code === 'internal' ? new OrbError('internal').toJSON() : error.toJSON();
}

/** Fastify's own refusals in our words. */
export function fromFastify(error: { readonly code?: string; readonly statusCode?: number; readonly message: string }): OrbError {
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new OrbError('too-large', { message: 'The body is larger than this address takes.' });
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
    return new OrbError('invalid-request', { message: error.message });
  return new OrbError('internal', { cause: error });
}
