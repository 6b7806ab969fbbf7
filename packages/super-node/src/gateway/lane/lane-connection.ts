import type { Socket } from 'node:net';
import { addressKey } from '@orb/link';
import type { OrbError } from '@orb/protocol';
import type { Arrival, Arrivals } from '../../arrivals/arrivals.ts';
import { plainBounds, PlainReader, type PlainRequest } from './plain-request.ts';
import { LaneResponse, type LaneOut } from './lane-response.ts';

/** What the connections of a lane share. */
export interface LaneWork {
  readonly arrivals: Arrivals;
  /** Why a call is not even begun, as a whole reply. @param late set when it has waited for too long */
  refusal(request: PlainRequest, ip: string, late: OrbError | undefined): Buffer | undefined;
  /** Answers a request; ends or destroys the response at last. */
  answer(request: PlainRequest, response: LaneResponse, ip: string): void;
  /** A whole HTTP server takes the connection from here on: what has been read stands in the socket again. */
  handOver(socket: Socket): void;
  onClose(connection: LaneConnection): void;
  date(): string;
}

/** How long an idle connection stays open. */
const idleMs = 72_000;
export const keepAliveS = idleMs / 1_000;
/** In how many pieces a request may come, and for how long, before a whole HTTP server waits for the rest. */
const partBounds = { pieces: 16, ms: 10_000 } as const;
/** Refusals of one connection in a row, before others have their turn. */
const refusalsInRow = 64;

/**
 * One caller's connection: plain calls, one after the other, each answered before the next is looked at. The first that
 * is not plain takes the connection, with all that follows on it, to a whole HTTP server.
 */
export class LaneConnection implements Arrival {
  readonly from: string;
  readonly #socket: Socket;
  readonly #work: LaneWork;
  readonly #out: LaneOut;
  readonly #reader = new PlainReader();
  /** Read and not used yet. */
  #bytes: Buffer | undefined;
  #pieces = 0;
  #partSinceMs = 0;
  #response: LaneResponse | undefined;
  /** What has been read waits to be begun. */
  #waits = false;
  #paused = false;
  /** The caller has not taken the refusals that it was sent: it is read no further. */
  #unread = false;

  constructor(socket: Socket, work: LaneWork) {
    this.#socket = socket;
    this.#work = work;
    this.#out = { socket, date: () => work.date(), keepAliveS };
    this.from = addressKey(socket.remoteAddress ?? '');
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

  begin(refusal: OrbError | undefined): void {
    this.#waits = false;
    if (!this.#response) this.#next(refusal);
  }

  readonly #onData = (piece: Buffer): void => {
    this.#bytes = this.#bytes ? Buffer.concat([this.#bytes, piece]) : piece;
    this.#pieces++;
    if (!this.#response && !this.#waits) this.#arrive();
    // Whoever sends on without reading the answers waits.
    else if (this.#bytes.length > plainBounds.bodyBytes) this.#pause();
  };

  #arrive(): void {
    const { arrivals } = this.#work;
    if (arrivals.mayBegin()) return this.#next(undefined);
    // What there is no room for does not wait to hear it.
    if (arrivals.mayRefuse()) return this.#next(undefined, false);
    this.#wait();
  }

  #wait(): void {
    this.#waits = true;
    this.#work.arrivals.add(this);
  }

  /** Goes through what has been read. @param mayBegin false: only as far as it is refused; the rest waits for its turn */
  #next(late: OrbError | undefined, mayBegin = true): void {
    const refusals: Buffer[] = [];
    while (this.#bytes && !this.#socket.destroyed && !this.#unread) {
      if (refusals.length === refusalsInRow) {
        this.#refuse(refusals.splice(0));
        return this.#wait();
      }
      const request = this.#read(this.#bytes);
      if (request === undefined) break;
      const refusal = request === 'unusual' ? undefined : this.#work.refusal(request, this.from, late);
      if (refusal) {
        this.#drop(request as PlainRequest);
        refusals.push(refusal);
        continue;
      }
      this.#refuse(refusals);
      if (!mayBegin) return this.#wait();
      if (request === 'unusual') return this.#leave();
      this.#drop(request);
      this.#response = new LaneResponse(this.#out, this.#onOver);
      return this.#work.answer(request, this.#response, this.from);
    }
    this.#refuse(refusals);
    if (this.#paused && !this.#unread) this.#resume();
  }

  /** The first request of what has been read, which {@link #drop} takes out of it; undefined when it has not come whole. */
  #read(bytes: Buffer): PlainRequest | 'unusual' | undefined {
    const request = this.#reader.read(bytes);
    return request !== 'part' ? request : this.#mayWait() ? undefined : 'unusual';
  }

  #drop({ end }: PlainRequest): void {
    const bytes = this.#bytes!;
    this.#bytes = end === bytes.length ? undefined : bytes.subarray(end);
    this.#pieces = this.#bytes ? 1 : 0;
  }

  /** Several leave in one write. */
  #refuse(refusals: readonly Buffer[]): void {
    if (refusals.length === 0 || this.#socket.write(refusals.length === 1 ? refusals[0]! : Buffer.concat(refusals))) return;
    this.#unread = true;
    this.#pause();
  }

  #pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  #resume(): void {
    this.#paused = false;
    this.#socket.resume();
  }

  #mayWait(): boolean {
    const now = performance.now();
    if (this.#pieces <= 1) this.#partSinceMs = now;
    return this.#pieces <= partBounds.pieces && now - this.#partSinceMs <= partBounds.ms;
  }

  readonly #onOver = (): void => {
    this.#response = undefined;
    if (!this.#bytes) return;
    this.#resume();
    this.#arrive();
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

  readonly #onDrain = (): void => {
    this.#response?.drained();
    if (!this.#unread) return;
    this.#unread = false;
    this.#resume();
    if (this.#bytes && !this.#response && !this.#waits) this.#arrive();
  };

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
