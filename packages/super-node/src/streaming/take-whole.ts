import { concatBytes, limits, OrbError, type JobEnd } from '@orb/protocol';
import type { CallReply } from '../call.ts';

/** A reply that has all of its body. */
export interface WholeReply extends CallReply {
  readonly body: Uint8Array;
  readonly end: JobEnd;
}

/**
 * Collects a reply for whoever can only take it whole.
 * @throws OrbError `response-too-large` beyond limits.bodyBytes, and what broke the stream off
 */
export async function takeWhole(reply: CallReply): Promise<WholeReply> {
  const { body: stream, end } = reply;
  if (stream instanceof Uint8Array) return { ...reply, body: stream, end: end! };
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const piece of stream) {
      bytes += piece.length;
      if (bytes > limits.bodyBytes) {
        throw new OrbError('response-too-large', {
          message: `The response is larger than ${limits.bodyBytes} bytes, the limit of one that is taken whole.`,
        });
      }
      pieces.push(piece);
    }
  } catch (error) {
    // The function's own failure, with its record: a reply as any other.
    if (stream.end) return { ...reply, body: new Uint8Array(), end: stream.end, failure: error as OrbError };
    throw error;
  }
  return { ...reply, body: concatBytes(pieces), end: stream.end! };
}
