/** An iterable as a web stream: pulled as it is read, and ended early when nobody reads on. */
export function readableOf(source: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  if (source instanceof ReadableStream) return source as ReadableStream<Uint8Array>;
  return new ReadableStream(pulledFrom(source[Symbol.asyncIterator]()), { highWaterMark: 0 });
}

/** What a web stream is made of when it draws from an iterator. */
export function pulledFrom(pieces: AsyncIterator<Uint8Array>) {
  return {
    async pull(controller: ReadableStreamDefaultController<Uint8Array>) {
      const next = await pieces.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await pieces.return?.();
    },
  };
}
