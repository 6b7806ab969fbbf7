/** Docker puts eight bytes before each piece of a container's output: the stream, three zeros, the length (big endian). */
export class DockerOutput {
  readonly #pieces: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);
  /** Bytes of the current piece that are still to come. */
  #left = 0;

  constructor(stream: NodeJS.ReadableStream) {
    this.#pieces = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** Some bytes of output, at least one. @throws Error when there are no more */
  async next(): Promise<Uint8Array> {
    while (this.#left === 0) {
      while (this.#rest.length < 8) this.#rest = Buffer.concat([this.#rest, await this.#more()]);
      this.#left = this.#rest.readUInt32BE(4);
      this.#rest = this.#rest.subarray(8);
    }
    if (this.#rest.length === 0) this.#rest = await this.#more();
    const part = this.#rest.subarray(0, this.#left);
    this.#rest = this.#rest.subarray(part.length);
    this.#left -= part.length;
    return part;
  }

  async #more(): Promise<Buffer> {
    const next = await this.#pieces.next();
    if (next.done === true) throw new Error('The container has ended.');
    return next.value;
  }
}
