import type { Socket } from 'node:net';
import type { PlainRequest } from './plain-request.ts';
import { plainBounds, readPlainRequest } from './plain-request.ts';
import { LaneResponse, type LaneOut } from './lane-response.ts';

/** What the connections of a lane share. */
export interface LaneWork {
  /** Answers a request; ends or destroys the response at last. */
  answer(request: PlainRequest, response: LaneResponse, ip: string): void;
  /** A whole HTTP server takes the connection from here on: what has been read stands in the socket again. */
  handOver(socket: Socket): void;
  onClose(connection: LaneConnection): void;
  date(): string;
}

/** How long an idle connection stays open. */
const idleMs = 72_000;
/** In how many pieces a request may come, and for how long, before a whole HTTP server waits for the rest. */
const partBounds = { pieces: 16, ms: 10_000 } as const;

/**
 * One caller's connection: plain calls, one after the other, each answered before the next is looked at. The first that
 * is not plain takes the connection, with all that follows on it, to a whole HTTP server.
 */
export class LaneConnection {
  readonly #socket: Socket;
  readonly #work: LaneWork;
  readonly #out: LaneOut;
  readonly #ip: string;
  /** Read and not used yet. */
  #bytes: Buffer | undefined;
  #pieces = 0;
  #partSinceMs = 0;
  #response: LaneResponse | undefined;

  constructor(socket: Socket, work: LaneWork) {
    this.#socket = socket;
    this.#work = work;
    this.#out = { socket, date: () => work.date(), keepAliveS: idleMs / 1_000 };
    this.#ip = socket.remoteAddress ?? '';
    socket.setTimeout(idleMs);
    socket.on('data', this.#onData);
    socket.on('drain', this.#onDrain);
    socket.on('end', this.#onEnd);
    socket.on('timeout', this.#onTimeout);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  readonly #onData = (piece: Buffer): void => {
    this.#bytes = this.#bytes ? Buffer.concat([this.#bytes, piece]) : piece;
    this.#pieces++;
    if (!this.#response) this.#next();
    // Whoever sends on without reading the answers waits.
    else if (this.#bytes.length > plainBounds.bodyBytes) this.#socket.pause();
  };

  #next(): void {
    const bytes = this.#bytes;
    if (!bytes || this.#socket.destroyed) return;
    const request = readPlainRequest(bytes);
    if (request === 'part' && this.#mayWait()) return;
    if (typeof request === 'string') return this.#leave();
    this.#bytes = request.end === bytes.length ? undefined : bytes.subarray(request.end);
    this.#pieces = this.#bytes ? 1 : 0;
    this.#response = new LaneResponse(this.#out, this.#onOver);
    this.#work.answer(request, this.#response, this.#ip);
  }

  #mayWait(): boolean {
    const now = performance.now();
    if (this.#pieces <= 1) this.#partSinceMs = now;
    return this.#pieces <= partBounds.pieces && now - this.#partSinceMs <= partBounds.ms;
  }

  readonly #onOver = (): void => {
    this.#response = undefined;
    if (!this.#bytes) return;
    this.#socket.resume();
    this.#next();
  };

  #leave(): void {
    const socket = this.#socket;
    const bytes = this.#bytes!;
    this.#bytes = undefined;
    socket.setTimeout(0);
    socket.off('data', this.#onData).off('drain', this.#onDrain).off('end', this.#onEnd);
    socket.off('timeout', this.#onTimeout).off('error', this.#onError).off('close', this.#onClose);
    this.#work.onClose(this);
    socket.unshift(bytes);
    this.#work.handOver(socket);
  }

  readonly #onDrain = (): void => this.#response?.drained();

  /** As Node's server has it: who says that it sends no more is gone. */
  readonly #onEnd = (): void => void this.#socket.end();

  readonly #onTimeout = (): void => {
    if (!this.#response) this.#socket.destroy();
  };

  /** `close` follows. */
  readonly #onError = (): void => undefined;

  readonly #onClose = (): void => {
    this.#work.onClose(this);
    this.#response?.lost();
  };
}
