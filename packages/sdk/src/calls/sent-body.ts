import { createSha256, sha256, type Hex32 } from '@orb/protocol';
import type { OutgoingCall } from './call-port.ts';

/**
 * What is kept of a stream that has been sent: more than the way can hold between here and a handler that stops reading
 * in the middle. Where it held more all the same, the request cannot be checked.
 */
const keptBytes = 8 * 1024 * 1024;

const emptySha256 = sha256('');

/** A request's body on its way out, remembered as far as a receipt may speak of it. */
export interface SentBody {
  readonly body: OutgoingCall['body'];
  /** SHA-256 of the first bytes of it; undefined where that is no longer known. */
  sha256(bytes: number): Hex32 | undefined;
}

/** A receipt speaks of a whole body as a whole, and of a stream as far as the handler has read it. */
export function sentBody(body: OutgoingCall['body']): SentBody {
  if (body === undefined) return { body, sha256: () => emptySha256 };
  if (body instanceof Uint8Array) return { body, sha256: () => sha256(body) };
  return new SentStream(body);
}

class SentStream implements SentBody {
  readonly #source: AsyncIterable<Uint8Array>;
  /** Of the bytes before the first piece that is kept. */
  readonly #hash = createSha256();
  #pieces: Uint8Array[] = [];
  #start = 0;
  #bytes = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source;
  }

  get body(): AsyncIterable<Uint8Array> {
    return this.#pass();
  }

  sha256(bytes: number): Hex32 | undefined {
    if (bytes < this.#start || bytes > this.#bytes) return undefined;
    const hash = this.#hash.copy();
    let at = this.#start;
    for (const piece of this.#pieces) {
      if (at >= bytes) break;
      hash.update(piece.subarray(0, bytes - at));
      at += piece.byteLength;
    }
    return hash.digest();
  }

  async *#pass(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const piece of this.#source) {
      this.#keep(piece);
      yield piece;
    }
  }

  #keep(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#bytes += piece.byteLength;
    while (this.#bytes - this.#start - this.#pieces[0]!.byteLength >= keptBytes) {
      const first = this.#pieces.shift()!;
      this.#hash.update(first);
      this.#start += first.byteLength;
    }
  }
}
