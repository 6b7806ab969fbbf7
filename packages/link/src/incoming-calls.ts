import { asOrbError, Canceller, IdTable, OrbError, type CancelSignal } from '@orb/protocol';
import { frameFlags, frameTypes, violation } from './frame.ts';
import { IncomingBody } from './incoming-body.ts';
import { jsonOf } from './json-text.ts';
import { linkLimits } from './link-limits.ts';
import { OutgoingBody, type OutgoingBodyEnd } from './outgoing-body.ts';
import type { IncomingCall, LinkBodySource, OutgoingAnswer } from './port.ts';
import { cancelledError, type Wire } from './wire.ts';

/** Words of an error beyond this are cut; its details go first. */
const errorJsonChars = 16_384;

/** Calls that the other side makes: from CALL until the answer and the caller's body have both ended. */
export class IncomingCalls {
  readonly #wire: Wire;
  readonly #calls = new IdTable<ServedCall>(2);
  #lastId: number;
  #headerBytes = 0;

  /** @param firstId 1 when the other side dialled, 2 when this side did */
  constructor(wire: Wire, firstId: 1 | 2) {
    this.#wire = wire;
    this.#lastId = firstId - 2;
  }

  /**
   * Takes a call in. Undefined when it is refused because the unanswered ones hold too much memory.
   * @throws OrbError `protocol-violation` for an id out of order or more calls than an honest side makes
   */
  add(id: number, method: string, header: unknown, headerBytes: number, last: boolean): ServedCall | undefined {
    // Serial number arithmetic (RFC 1982): ids start over, and a step of more than half of them goes backwards.
    if (((id - this.#lastId) | 0) <= 0 || this.#calls.has(id)) throw violation(`call id ${id} is used twice or out of order`);
    if (this.#calls.size >= linkLimits.callsInFlight) throw violation(`more than ${linkLimits.callsInFlight} calls at once`);
    this.#lastId = id;
    const call = new ServedCall(this, this.#wire, id, method, header, headerBytes);
    this.#calls.set(id, call);
    this.#headerBytes += headerBytes;
    if (last) call.onEnd();
    if (this.#headerBytes <= this.#wire.settings.incomingHeaderBytes) return call;
    call.fail(new OrbError('overloaded', { message: 'Too many calls are waiting on this link.', hint: 'Try again a little later.' }));
    return undefined;
  }

  /** The call that DATA or END is about. @throws OrbError `protocol-violation` when there is none or its body has ended */
  get(id: number): ServedCall {
    const call = this.#calls.get(id);
    if (call === undefined || call.body.ended) throw violation(`a body for call ${id}, which takes none`);
    return call;
  }

  /** The same for what may cross with the call's end. @throws OrbError `protocol-violation` when there never was such a call */
  find(id: number): ServedCall | undefined {
    if (((id - this.#lastId) | 0) > 0) throw violation(`call ${id} was never made`);
    return this.#calls.get(id);
  }

  close(reason: OrbError): void {
    for (const call of this.#calls.values()) call.end(reason);
    this.#calls.clear();
  }

  /** Both sides have ended it. */
  forget(id: number, headerBytes: number): void {
    if (this.#calls.delete(id)) this.#headerBytes -= headerBytes;
  }
}

/** One call as the answering side sees it. */
export class ServedCall implements IncomingCall, OutgoingBodyEnd {
  readonly #wire: Wire;
  readonly #id: number;
  readonly #calls: IncomingCalls;
  readonly #headerBytes: number;
  readonly method: string;
  readonly header: unknown;
  readonly body: IncomingBody;
  #abort: Canceller | undefined;
  #aborted: OrbError | undefined;
  #sending: OutgoingBody | undefined;
  #trailer: unknown;
  #over = false;

  constructor(calls: IncomingCalls, wire: Wire, id: number, method: string, header: unknown, headerBytes: number) {
    this.#calls = calls;
    this.#wire = wire;
    this.#id = id;
    this.#headerBytes = headerBytes;
    this.method = method;
    this.header = header;
    this.body = new IncomingBody(wire, id);
  }

  get signal(): CancelSignal {
    return this.abort;
  }

  get abort(): Canceller {
    this.#abort ??= new Canceller();
    if (this.#aborted !== undefined) this.#abort.abort(this.#aborted);
    return this.#abort;
  }

  /** What the handler answered. */
  answer(answer: OutgoingAnswer): void {
    if (this.#over) {
      // Cancelled while the handler ran: nobody will pull the body that it made.
      if (answer.body !== undefined && !(answer.body instanceof Uint8Array)) stopUnread(answer.body);
      return;
    }
    try {
      this.#start(answer);
    } catch (error) {
      this.fail(error);
    }
  }

  /** What the handler threw. */
  fail(error: unknown): void {
    if (this.#over) return;
    this.#sending?.stop();
    this.#wire.batch.json(frameTypes.error, 0, this.#id, errorJson(asOrbError(error)));
    this.#end();
  }

  /** The answer's body has been sent. */
  done(): void {
    this.#sending = undefined;
    const trailer: unknown = this.#trailer;
    if (typeof trailer !== 'function') {
      this.#finish(trailer);
      return;
    }
    void this.#askTrailer(trailer as () => unknown);
  }

  /** The answer's body threw. */
  failed(error: unknown): void {
    this.fail(error);
  }

  onData(message: Buffer, start: number, end: number, last: boolean): void {
    if (end > start) this.body.add(message, start, end);
    if (last) this.onEnd();
  }

  onEnd(): void {
    this.body.end();
    if (this.#over) this.#forget();
  }

  onCancel(): void {
    const error = cancelledError();
    if (!this.#over) {
      this.end(error);
      this.#wire.batch.json(frameTypes.error, 0, this.#id, errorJson(error));
    }
    this.body.fail(error);
    this.#forget();
  }

  onCredit(bytes: number): void {
    this.#sending?.addCredit(bytes);
  }

  /** The caller does not read the answer's body. */
  onDiscard(): void {
    if (this.#sending === undefined) return;
    this.#sending.stop();
    this.done();
  }

  /** Nobody waits for the answer any more. */
  end(reason: OrbError): void {
    this.#over = true;
    this.#aborted = reason;
    this.#sending?.stop();
    this.#sending = undefined;
    this.body.fail(reason);
    this.#abort?.abort(reason);
  }

  #start({ header, body, trailer }: OutgoingAnswer): void {
    const json = jsonOf(header);
    const empty = body === undefined || (body instanceof Uint8Array && body.length === 0);
    const last = empty && trailer === undefined;
    this.#wire.batch.json(frameTypes.answer, last ? frameFlags.fin : 0, this.#id, json);
    this.#trailer = trailer;
    if (last) this.#end();
    else if (empty) this.done();
    else this.#send(body);
  }

  #send(body: LinkBodySource): void {
    if (!(body instanceof Uint8Array) || body.length > linkLimits.pieceBytes || !this.#wire.trySend(body.length)) {
      this.#sending = new OutgoingBody(this.#wire, this.#id, body, this);
      this.#sending.start();
      return;
    }
    const last = this.#trailer === undefined;
    this.#wire.batch.bytes(frameTypes.data, last ? frameFlags.fin : 0, this.#id, body);
    if (last) this.#end();
    else this.done();
  }

  async #askTrailer(ask: () => unknown): Promise<void> {
    try {
      this.#finish(await ask());
    } catch (error) {
      this.fail(error);
    }
  }

  #finish(trailer: unknown): void {
    if (this.#over) return;
    try {
      if (trailer === undefined) this.#wire.batch.bytes(frameTypes.end, 0, this.#id);
      else this.#wire.batch.json(frameTypes.end, 0, this.#id, jsonOf(trailer));
      this.#end();
    } catch (error) {
      this.fail(error);
    }
  }

  #forget(): void {
    this.#calls.forget(this.#id, this.#headerBytes);
  }

  #end(): void {
    this.#over = true;
    this.#sending = undefined;
    if (this.body.ended) {
      this.body.settle();
      this.#forget();
    } else {
      this.body.fail(cancelledError());
    }
  }
}

/** An error as its frame carries it: always JSON, never too long. */
export function errorJson(error: OrbError): string {
  const { details, ...rest } = error.toJSON();
  const short = { ...rest, message: rest.message.slice(0, 2_048), ...(rest.hint !== undefined && { hint: rest.hint.slice(0, 2_048) }) };
  if (details === undefined) return JSON.stringify(short);
  try {
    const full = JSON.stringify({ ...short, details });
    if (full.length <= errorJsonChars) return full;
  } catch {
    // Details that are not JSON stay here.
  }
  return JSON.stringify(short);
}

function stopUnread(source: AsyncIterable<Uint8Array>): void {
  const iterator = source[Symbol.asyncIterator]();
  void iterator.return?.().then(undefined, () => undefined);
}
