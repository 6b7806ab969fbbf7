/** A body of so many bytes, in numbered blocks: none can be lost or swapped unseen. */
export function* blocks(bytes: number): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes; at += 65_536, i++) {
    const block = Buffer.alloc(Math.min(65_536, bytes - at), 7);
    block.writeUInt32BE(i);
    yield block;
  }
}
