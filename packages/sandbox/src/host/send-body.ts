import { chunkBytes, windowBytes } from '../harness/wire.js';

/** Where the pieces of a request body go. */
export interface BodySink {
  piece(bytes: Uint8Array): void;
  end(): void;
  /** Resolves when the way to the process is free. */
  drained(): Promise<void>;
}

/** A request body on its way to the function: no more is sent than the function has taken, plus one window. */
export class BodySender {
  #credit = windowBytes;
  #wake: (() => void) | undefined;
  #stopped = false;

  /** The function has taken this much. @returns false when it was never sent that much */
  addCredit(bytes: number): boolean {
    if (bytes === 0 || this.#credit + bytes > windowBytes) return false;
    this.#credit += bytes;
    this.#wake?.();
    return true;
  }

  /** The job is over: nobody wants the rest. */
  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  /** Sends all of it. Rejects with whatever the source throws. */
  async send(source: Uint8Array | AsyncIterable<Uint8Array>, sink: BodySink): Promise<void> {
    for await (const bytes of source instanceof Uint8Array ? [source] : source) {
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        while (this.#credit <= 0 && !this.#stopped) await new Promise<void>((resolve) => (this.#wake = resolve));
        await sink.drained();
        if (this.#stopped) return;
        const piece = bytes.subarray(at, at + chunkBytes);
        this.#credit -= piece.length;
        sink.piece(piece);
      }
      if (this.#stopped) return;
    }
    sink.end();
  }
}
