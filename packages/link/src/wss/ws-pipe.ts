import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { MessagePipe, MessageReceiver } from '../message-pipe.ts';
import { PipeInbox } from '../pipe-inbox.ts';

/** A WebSocket as a pipe. */
export class WsPipe implements MessagePipe {
  readonly address: string;
  readonly #socket: WebSocket;
  readonly #connection: Socket;
  readonly #inbox: PipeInbox;

  /** @param connection the connection under the WebSocket, which tells when its buffer is empty again */
  constructor(socket: WebSocket, connection: Socket, address: string) {
    this.address = address;
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
}
