import { fromUtf8, utf8 } from '@orb/protocol';
import type { BundleProgram, Invocation, InvocationResult } from '../port.ts';

/** A program of JavaScript source, with defaults. */
export function programOf(source: string, more: Partial<BundleProgram> = {}): BundleProgram {
  return { kind: 'bundle', sha256: '0'.repeat(64), code: utf8(source), handler: 'auto', memoryMiB: 128, startTimeoutMs: 10_000, ...more };
}

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
