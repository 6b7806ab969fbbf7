import type { FastifyRequest } from 'fastify';
import { fromUtf8, OrbError } from '@orb/protocol';

/** The JSON of a request's body. @throws OrbError `invalid-request` */
export function readJson(request: FastifyRequest): unknown {
  try {
    return JSON.parse(fromUtf8(readBody(request)));
  } catch (cause) {
    throw new OrbError('invalid-request', { message: 'The body is not JSON.', cause });
  }
}

/** The bytes of a request's body; empty when there is none. */
export function readBody(request: FastifyRequest): Uint8Array {
  return Buffer.isBuffer(request.body) ? request.body : new Uint8Array();
}

/** A whole number from the query string. @throws OrbError `invalid-request` */
export function readNumber(
  value: unknown,
  name: string,
  bounds: { readonly min: number; readonly max: number; readonly default: number },
): number {
  if (value === undefined) return bounds.default;
  const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= bounds.min && number <= bounds.max)) {
    throw new OrbError('invalid-request', { message: `${name} must be a whole number from ${bounds.min} to ${bounds.max}.` });
  }
  return number;
}
