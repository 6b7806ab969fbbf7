import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { MessagePipe, MessageReceiver } from '../message-pipe.ts';
import { PipeInbox } from '../pipe-inbox.ts';

/** The longest head of a WebSocket frame (RFC 6455 section 5.2): two bytes, a length of eight, a mask. */
const frameHeadBytes = 14;
/** What one record of TLS holds (RFC 8446 section 5.1). */
const tlsRecordBytes = 16_384;
/** A whole binary message in one frame. */
const binaryMessage = 0x82;
const masked = 0x80;

/** A WebSocket as a pipe. */
export class WsPipe implements MessagePipe {
  readonly address: string;
  readonly #socket: WebSocket;
  readonly #connection: Socket;
  readonly #inbox: PipeInbox;
  /** Bytes of a mask in each head that this side sends; zeros, see `openWss`. */
  readonly #maskBytes: 0 | 4;
  readonly headRoom = frameHeadBytes;
  readonly recordRoom: number;

  /** @param connection the connection under the WebSocket, which tells when its buffer is empty again */
  constructor(socket: WebSocket, connection: Socket, { address, dialled }: { readonly address: string; readonly dialled: boolean }) {
    this.address = address;
    this.#maskBytes = dialled ? 4 : 0;
    this.recordRoom = tlsRecordBytes - 4 - this.#maskBytes;
    this.#socket = socket;
    this.#connection = connection;
    this.#inbox = new PipeInbox((paused) => (paused ? socket.pause() : socket.resume()));
    socket.on('message', (data, isBinary) => this.#inbox.message(isBinary ? (data as Buffer) : (data as Buffer).toString()));
    let broken: string | undefined;
    // A broken or oversized frame, or a reset; `close` follows.
    socket.on('error', (error: Error & { code?: string }) => {
      if (error.code?.startsWith('WS_ERR') === true) broken = error.message;
    });
    socket.on('close', () => this.#inbox.gone(broken));
    connection.on('drain', () => this.#inbox.drain());
  }

  get buffered(): number {
    return this.#socket.bufferedAmount;
  }

  send(message: string | Buffer): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(message);
  }

  /** As `ws` would send it, but in one piece of memory, which TLS takes without gathering it into another first. */
  sendFrom(slab: Buffer, start: number, end: number, done: () => void): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    const from = this.#writeHead(slab, start, end - start);
    this.#connection.write(slab.subarray(from, end), done);
  }

  receive(receiver: MessageReceiver): void {
    this.#inbox.receive(receiver);
  }

  hold(): void {
    this.#inbox.hold();
  }

  keepProcess(keep: boolean): void {
    if (keep) this.#connection.ref();
    else this.#connection.unref();
  }

  close(): void {
    // A paused socket would never see the other side's close.
    this.#socket.resume();
    this.#socket.close();
  }

  destroy(): void {
    this.#socket.terminate();
  }

  /** Writes a frame's head before `start`. @returns where it begins */
  #writeHead(slab: Buffer, start: number, length: number): number {
    const maskBytes = this.#maskBytes;
    slab.fill(0, start - maskBytes, start);
    const mask = maskBytes > 0 ? masked : 0;
    const lengthEnd = start - maskBytes;
    if (length < 126) {
      slab[lengthEnd - 1] = mask | length;
      slab[lengthEnd - 2] = binaryMessage;
      return lengthEnd - 2;
    }
    if (length < 65_536) {
      slab.writeUInt16BE(length, lengthEnd - 2);
      slab[lengthEnd - 3] = mask | 126;
      slab[lengthEnd - 4] = binaryMessage;
      return lengthEnd - 4;
    }
    slab.writeUInt32BE(0, lengthEnd - 8);
    slab.writeUInt32BE(length, lengthEnd - 4);
    slab[lengthEnd - 9] = mask | 127;
    slab[lengthEnd - 10] = binaryMessage;
    return lengthEnd - 10;
  }
}
