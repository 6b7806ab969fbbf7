const pieceBytes = 65_536;
/** UTF-16 units become at most three bytes of UTF-8 each. */
const utf8Worst = 3;

/**
 * Short texts as bytes, many in one piece of memory that is never written twice: memory of its own for each, which only a
 * collection of garbage gives back, costs a tenth of what a call does.
 */
export class TextBytes {
  readonly #encoder = new TextEncoder();
  #piece = new Uint8Array(0);
  #at = 0;

  encode(text: string): Uint8Array {
    const most = text.length * utf8Worst;
    if (most > pieceBytes / 8) return this.#encoder.encode(text);
    if (this.#piece.length - this.#at < most) {
      this.#piece = new Uint8Array(pieceBytes);
      this.#at = 0;
    }
    const start = this.#at;
    this.#at += this.#encoder.encodeInto(text, this.#piece.subarray(start)).written;
    return this.#piece.subarray(start, this.#at);
  }
}
