import { OrbError } from '@orb/protocol';
import { cleanText } from './clean-text.ts';
import type { Terminal } from './terminal.ts';

/** Prints output as it comes and no faster than it is taken: to a pipe as it is, to a person as text without control codes. */
export class StreamPrinter {
  readonly #terminal: Terminal;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Resolves when the piece is handed over. @throws OrbError `invalid-request` for what is no text, where a person would see it */
  print(piece: Uint8Array): Promise<void> {
    if (!this.#terminal.streams.stdout.isTTY) return this.#terminal.printBytes(piece);
    return this.#terminal.printBytes(new TextEncoder().encode(this.#textOf(piece)));
  }

  /** The output is complete. @throws OrbError as {@link print}, for a character that is cut off */
  end(): void {
    if (this.#terminal.streams.stdout.isTTY) this.#textOf(undefined);
  }

  #textOf(piece: Uint8Array | undefined): string {
    try {
      const text = piece ? this.#decoder.decode(piece, { stream: true }) : this.#decoder.decode();
      if (!text.includes('\u0000')) return cleanText(text, { multiline: true, limit: text.length });
    } catch {
      // No text.
    }
    throw new OrbError('invalid-request', { message: 'The output is no text.', hint: 'Send it to a file: orb call … > FILE' });
  }
}
