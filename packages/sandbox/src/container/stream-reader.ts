const headerBytes = 8;

/**
 * Takes apart what the engine sends of a container without a terminal: `u8 stream, 3 zeros, u32 length (big-endian)`, then
 * that many bytes (Docker Engine API, "Attach to a container"). Holds nothing but an unfinished header.
 */
export class StreamReader {
  readonly #on: { readonly stdout: (bytes: Uint8Array) => void; readonly stderr: (bytes: Uint8Array) => void };
  readonly #header = Buffer.alloc(headerBytes);
  #headerFilled = 0;
  #stream = 0;
  #left = 0;

  constructor(on: { readonly stdout: (bytes: Uint8Array) => void; readonly stderr: (bytes: Uint8Array) => void }) {
    this.#on = on;
  }

  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#left === 0) {
        const taken = bytes.copy(this.#header, this.#headerFilled, at, at + headerBytes - this.#headerFilled);
        at += taken;
        this.#headerFilled += taken;
        if (this.#headerFilled < headerBytes) return;
        this.#headerFilled = 0;
        this.#stream = this.#header[0]!;
        this.#left = this.#header.readUInt32BE(4);
      } else {
        const piece = bytes.subarray(at, at + this.#left);
        at += piece.length;
        this.#left -= piece.length;
        if (this.#stream === 1) this.#on.stdout(piece);
        else if (this.#stream === 2) this.#on.stderr(piece);
      }
    }
  }
}

/** The end of a text that never stops. */
export class Tail {
  readonly #most: number;
  #text = '';
  bytes = 0;

  constructor(most: number) {
    this.#most = most;
  }

  push(piece: Uint8Array): void {
    this.bytes += piece.length;
    const kept = piece.subarray(Math.max(0, piece.length - this.#most));
    this.#text = (this.#text + Buffer.from(kept).toString()).slice(-this.#most);
  }

  toString(): string {
    return this.#text;
  }
}

/** Cuts what a program prints into lines; one that never ends is cut at the limit. */
export class LineCutter {
  readonly #most: number;
  readonly #onLine: (line: string) => void;
  readonly #decoder = new TextDecoder();
  #rest = '';

  constructor(most: number, onLine: (line: string) => void) {
    this.#most = most;
    this.#onLine = onLine;
  }

  push(piece: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(piece, { stream: true })).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) this.#say(line);
    while (this.#rest.length > this.#most) {
      this.#say(this.#rest.slice(0, this.#most));
      this.#rest = this.#rest.slice(this.#most);
    }
  }

  #say(line: string): void {
    if (line.trim() !== '') this.#onLine(line.replace(/\r$/, ''));
  }
}
