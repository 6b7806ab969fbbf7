import { asOrbError, deferred, errorFromBody, IdTable, OrbError, type CancelSignal, type Deferred } from '@orb/protocol';
import { frameFlags, frameTypes, isMethod, violation } from './frame.ts';
import { IncomingBody } from './incoming-body.ts';
import { jsonOf } from './json-text.ts';
import { linkLimits } from './link-limits.ts';
import { OutgoingBody, type OutgoingBodyEnd } from './outgoing-body.ts';
import type { LinkAnswer, LinkBodySource } from './port.ts';
import { cancelledError, type Wire } from './wire.ts';

/** Calls that this side makes: from CALL until the other side has ended the answer. */
export class OutgoingCalls {
  readonly #wire: Wire;
  readonly #firstId: 1 | 2;
  readonly #calls = new IdTable<OutgoingCall>(2);
  #lastId = 0;
  #closed: OrbError | undefined;
  /** Told when the first of some calls begins, and when the last of them has ended. */
  onBusy: ((busy: boolean) => void) | undefined;

  /** @param firstId 1 for the side that dialled, 2 for the other */
  constructor(wire: Wire, firstId: 1 | 2) {
    this.#wire = wire;
    this.#firstId = firstId;
  }

  get size(): number {
    return this.#calls.size;
  }

  make(method: string, header: unknown, source: LinkBodySource | undefined, signal: CancelSignal | undefined): Promise<LinkAnswer> {
    return new Promise((resolve, reject) => {
      this.#check(method, signal);
      const json = jsonOf(header);
      const id = this.#nextId();
      const empty = source === undefined || (source instanceof Uint8Array && source.length === 0);
      this.#wire.batch.json(frameTypes.call, empty ? frameFlags.fin : 0, id, json, method);
      this.#lastId = id;
      const call = new OutgoingCall(this.#wire, id, resolve, reject, () => this.#forget(id));
      this.#calls.set(id, call);
      if (this.onBusy !== undefined && this.#calls.size === 1) this.onBusy(true);
      if (!empty) call.send(source);
      if (signal !== undefined) call.follow(signal);
    });
  }

  /** The call that a frame of the other side is about. @throws OrbError `protocol-violation` when there is none */
  get(id: number): OutgoingCall {
    const call = this.#calls.get(id);
    if (call === undefined) throw violation(`an answer to call ${id}, which is not waiting for one`);
    return call;
  }

  /** The same for what may cross with the call's end. */
  find(id: number): OutgoingCall | undefined {
    return this.#calls.get(id);
  }

  close(reason: OrbError): void {
    this.#closed = reason;
    for (const call of this.#calls.values()) call.linkClosed(reason);
    this.#calls.clear();
  }

  #check(method: string, signal: CancelSignal | undefined): void {
    if (this.#closed !== undefined) throw this.#closed;
    if (signal?.aborted === true) throw cancelledError(signal.reason);
    if (!isMethod(method)) throw new OrbError('invalid-request', { message: `${JSON.stringify(method)} cannot be a link's method.` });
    if (this.#calls.size >= linkLimits.callsInFlight || this.#wire.overfull) {
      throw new OrbError('overloaded', { message: 'Too many calls are in flight on this link.', hint: 'Try again a little later.' });
    }
  }

  #forget(id: number): void {
    this.#calls.delete(id);
    if (this.onBusy !== undefined && this.#calls.size === 0) this.onBusy(false);
  }

  #nextId(): number {
    let id = this.#lastId;
    do id = id === 0 || id + 2 > 0xffff_ffff ? this.#firstId : id + 2;
    while (this.#calls.has(id));
    return id;
  }
}

/** One call as its caller sees it. */
class OutgoingCall implements LinkAnswer, OutgoingBodyEnd {
  readonly #wire: Wire;
  readonly #id: number;
  readonly #resolve: (answer: LinkAnswer) => void;
  readonly #reject: (error: OrbError) => void;
  readonly #forget: () => void;
  #sending: OutgoingBody | undefined;
  #followed: { readonly signal: CancelSignal; readonly abort: () => void } | undefined;
  #cancelled = false;
  #error: OrbError | undefined;
  #over = false;
  #body: IncomingBody | undefined;
  #trailer: Deferred<unknown> | undefined;
  header: unknown;
  completeTrailer: unknown;

  constructor(wire: Wire, id: number, resolve: (answer: LinkAnswer) => void, reject: (error: OrbError) => void, forget: () => void) {
    this.#wire = wire;
    this.#id = id;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#forget = forget;
  }

  get body(): IncomingBody {
    return this.#body!;
  }

  get trailer(): Promise<unknown> {
    if (this.#trailer !== undefined) return this.#trailer.promise;
    this.#trailer = deferred();
    // Whoever asks for the trailer may fail before coming to await it.
    this.#trailer.promise.catch(() => undefined);
    if (this.#error !== undefined) this.#trailer.reject(this.#error);
    else if (this.#over) this.#trailer.resolve(this.completeTrailer);
    return this.#trailer.promise;
  }

  send(source: LinkBodySource): void {
    if (source instanceof Uint8Array && source.length <= linkLimits.pieceBytes && this.#wire.trySend(source.length)) {
      this.#wire.batch.bytes(frameTypes.data, frameFlags.fin, this.#id, source);
      return;
    }
    try {
      this.#sending = new OutgoingBody(this.#wire, this.#id, source, this);
      this.#sending.start();
    } catch (error) {
      this.failed(error);
    }
  }

  follow(signal: CancelSignal): void {
    const abort = () => this.cancel(cancelledError(signal.reason));
    signal.addEventListener('abort', abort, { once: true });
    this.#followed = { signal, abort };
  }

  /** The body has been sent. */
  done(): void {
    this.#sending = undefined;
    this.#wire.batch.bytes(frameTypes.end, 0, this.#id);
  }

  /** The body's source threw. */
  failed(error: unknown): void {
    this.cancel(asOrbError(error));
  }

  /** Ends the call for its caller; the other side still has to end it, and until then its id stays taken. */
  cancel(error: OrbError = cancelledError()): void {
    if (this.#over || this.#cancelled) return;
    this.#cancelled = true;
    this.#stopSending();
    this.#wire.batch.bytes(frameTypes.cancel, 0, this.#id);
    this.#fail(error);
  }

  linkClosed(reason: OrbError): void {
    this.#over = true;
    this.#stopSending();
    this.#fail(reason);
  }

  onAnswer(header: unknown, last: boolean): void {
    if (this.#body !== undefined) throw violation(`two answers to call ${this.#id}`);
    this.#body = new IncomingBody(this.#wire, this.#id);
    if (this.#cancelled) this.#body.ignore();
    this.header = header;
    if (last) this.onEnd(undefined);
    this.#resolve(this);
  }

  onData(message: Buffer, start: number, end: number, last: boolean): void {
    if (this.#body === undefined) throw violation(`a body before the answer to call ${this.#id}`);
    if (end > start) this.#body.add(message, start, end);
    if (last) this.onEnd(undefined);
  }

  onEnd(trailer: unknown): void {
    if (this.#body === undefined) throw violation(`an end before the answer to call ${this.#id}`);
    this.#body.end();
    // All of it is here, and whether it is ever read is the caller's affair: it must not slow down other calls.
    this.#body.settle();
    this.#end();
    if (this.#cancelled) return;
    this.completeTrailer = trailer;
    this.#trailer?.resolve(trailer);
  }

  onError(body: unknown): void {
    this.#end();
    this.#fail(errorFromBody(body));
  }

  onCredit(bytes: number): void {
    this.#sending?.addCredit(bytes);
  }

  /** The other side does not read the body. */
  onDiscard(): void {
    if (this.#sending === undefined) return;
    this.#stopSending();
    this.done();
  }

  #end(): void {
    this.#over = true;
    this.#forget();
    this.#unfollow();
    if (this.#sending === undefined) return;
    this.#stopSending();
    this.#wire.batch.bytes(frameTypes.cancel, 0, this.#id);
  }

  #unfollow(): void {
    this.#followed?.signal.removeEventListener('abort', this.#followed.abort);
    this.#followed = undefined;
  }

  #stopSending(): void {
    this.#sending?.stop();
    this.#sending = undefined;
  }

  #fail(error: OrbError): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#unfollow();
    this.#body?.fail(error);
    this.#trailer?.reject(error);
    this.#reject(error);
  }
}
export type { OutgoingCall };
