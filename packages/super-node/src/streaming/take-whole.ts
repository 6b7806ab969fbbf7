import { concatBytes, limits, OrbError } from '@orb/protocol';
import type { CallReply, CallTimes } from '../call.ts';

/** A reply that has all of its body. */
export interface WholeReply extends CallReply {
  readonly body: Uint8Array;
  readonly times: CallTimes;
}

/**
 * Collects a reply for whoever can only take it whole.
 * @throws OrbError `response-too-large` beyond limits.bodyBytes, and what broke the stream off
 */
export async function takeWhole(reply: CallReply): Promise<WholeReply> {
  const { body: stream, times } = reply;
  if (stream instanceof Uint8Array) return { ...reply, body: stream, times: times! };
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
    if (stream.times) return { ...reply, body: new Uint8Array(), times: stream.times, failure: error as OrbError };
    throw error;
  }
  return { ...reply, body: concatBytes(pieces), times: stream.times! };
}
