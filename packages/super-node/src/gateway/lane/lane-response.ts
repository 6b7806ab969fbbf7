import { EventEmitter } from 'node:events';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { OrbError } from '@orb/protocol';
import type { ReplySink } from '../reply-sink.ts';

/** What the replies of one connection share. */
export interface LaneOut {
  readonly socket: Socket;
  /** The value of a `date` header, now. */
  date(): string;
  /** Said in every head: for how long an idle connection stays open, seconds. */
  readonly keepAliveS: number;
}

/** Bodies up to this size are copied behind their head: one write of one buffer is cheaper than a gathered one. Bytes. */
const copiedBytes = 16_384;
const notAValue = /[^\t\x20-\x7e\x80-\xff]/;

/** One reply on a connection of the lane: whole, or in chunks (RFC 9112 section 7.1). Its calls come in the order of a `ServerResponse`'s. */
export class LaneResponse extends EventEmitter implements ReplySink {
  readonly #out: LaneOut;
  readonly #onOver: () => void;
  #head = '';
  /** How the body goes: by its length, in chunks, or not at all. */
  #body: 'whole' | 'chunks' | 'none' = 'whole';
  #trailers = '';
  #status = 0;
  #finished = false;
  #over = false;

  /** @param onOver told once, after `close` */
  constructor(out: LaneOut, onOver: () => void) {
    super();
    this.#out = out;
    this.#onOver = onOver;
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (this.#over) return;
    this.#over = true;
    this.#finished = !error;
    this.emit('close');
    this.#onOver();
  };

  get headersSent(): boolean {
    return this.#head !== '';
  }

  get destroyed(): boolean {
    return this.#over || this.#out.socket.destroyed;
  }

  get writableFinished(): boolean {
    return this.#finished;
  }

  /** The connection is gone. */
  lost(): void {
    this.#onWritten(new OrbError('cancelled'));
  }

  drained(): void {
    this.emit('drain');
  }

  writeHead(status: number, headers: string[]): void {
    this.#status = status;
    this.#head = headText(status, headers, this.#out);
  }

  flushHeaders(): void {
    this.#body = this.#status === 204 || this.#status === 304 ? 'none' : 'chunks';
    this.#out.socket.write(`${this.#head}${this.#body === 'chunks' ? 'transfer-encoding: chunked\r\n' : ''}\r\n`, 'latin1');
  }

  write(piece: Uint8Array): boolean {
    const { socket } = this.#out;
    if (this.#body !== 'chunks' || piece.byteLength === 0) return true;
    socket.cork();
    socket.write(`${piece.byteLength.toString(16)}\r\n`, 'latin1');
    socket.write(piece);
    const more = socket.write('\r\n', 'latin1');
    socket.uncork();
    return more;
  }

  addTrailers(trailers: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(trailers)) this.#trailers += `${name}: ${value}\r\n`;
  }

  end(body?: Uint8Array): void {
    const { socket } = this.#out;
    if (this.#body === 'chunks') socket.write(`0\r\n${this.#trailers}\r\n`, 'latin1', this.#onWritten);
    else if (this.#body === 'none') socket.write('', this.#onWritten);
    else if (body === undefined || body.byteLength === 0) socket.write(`${this.#head}\r\n`, 'latin1', this.#onWritten);
    else if (body.byteLength <= copiedBytes) socket.write(joined(`${this.#head}\r\n`, body), this.#onWritten);
    else {
      socket.cork();
      socket.write(`${this.#head}\r\n`, 'latin1');
      socket.write(body, this.#onWritten);
      socket.uncork();
    }
  }

  destroy(): void {
    this.#out.socket.destroy();
  }
}

/** The head of a reply, but for its last line: that says how the body goes. @param headers names and values in turn */
function headText(status: number, headers: readonly string[], { date, keepAliveS }: Omit<LaneOut, 'socket'>): string {
  let lines = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`;
  let dated = false;
  for (let i = 0; i < headers.length; i += 2) {
    lines += `${headers[i]}: ${headers[i + 1]}\r\n`;
    dated ||= headers[i] === 'date';
  }
  // Whoever made them has been checked at the door; a line slipped in would be another's reply.
  if (notAValue.test(headers.join(''))) throw new OrbError('internal', { message: 'A header of a reply holds a control character.' });
  return `${lines}${dated ? '' : `date: ${date()}\r\n`}keep-alive: timeout=${keepAliveS}\r\n`;
}

/** A whole reply as bytes, for one that is sent again and again. */
export function replyBytes(status: number, headers: readonly string[], body: Uint8Array, out: Omit<LaneOut, 'socket'>): Buffer {
  return joined(`${headText(status, headers, out)}\r\n`, body);
}

function joined(head: string, body: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(head.length + body.byteLength);
  bytes.write(head, 0, 'latin1');
  bytes.set(body, head.length);
  return bytes;
}
