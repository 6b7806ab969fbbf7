import { fromUtf8, utf8 } from '@orb/protocol';
import type { Invocation, InvocationResult } from '../port.ts';

/** A job with a JSON body, with defaults. @param input `undefined` for an empty body */
export function jobOf(input: unknown, more: Partial<Invocation> = {}): Invocation {
  const job = more.job ?? 'job-1';
  return {
    job,
    mode: 'http',
    method: 'POST',
    path: '/',
    headers: input === undefined ? [] : [['content-type', 'application/json']],
    body: input === undefined ? new Uint8Array() : utf8(JSON.stringify(input)),
    timeoutMs: 10_000,
    context: { call: 'call-1', job, attempt: 1, function: 'alice/hello', version: 'f'.repeat(64), memoryMiB: 128 },
    ...more,
  };
}

/** The whole body of an answer. */
export async function bodyOf(result: InvocationResult): Promise<Uint8Array> {
  if (result.body instanceof Uint8Array) return result.body;
  const pieces: Uint8Array[] = [];
  for await (const piece of result.body) pieces.push(piece);
  return Buffer.concat(pieces);
}

export async function textOf(result: InvocationResult): Promise<string> {
  return fromUtf8(await bodyOf(result));
}
