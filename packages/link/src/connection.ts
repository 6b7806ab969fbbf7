import { asOrbError, deferred, errorFromBody, OrbError, type CancelSignal } from '@orb/protocol';
import { FrameBatch } from './frame-batch.ts';
import {
  frameFlags,
  frameTypes,
  isMethod,
  methodEnd,
  parseJson,
  readFrames,
  readMethod,
  readU32,
  violation,
  type FrameType,
} from './frame.ts';
import { Heartbeat, type HeartbeatLink } from './heartbeat.ts';
import { errorJson, IncomingCalls, ServedCall } from './incoming-calls.ts';
import { jsonOf } from './json-text.ts';
import { defaultLinkSettings, linkLimits, type LinkSettings } from './link-limits.ts';
import type { MessagePipe, MessageReceiver } from './message-pipe.ts';
import { OutgoingCalls } from './outgoing-calls.ts';
import type { Link, LinkAnswer, LinkBodySource, LinkHandler, LinkPeer } from './port.ts';
import { Wire } from './wire.ts';

export interface ConnectionOptions {
  /** The proven other side. */
  readonly peer: LinkPeer;
  readonly handler: LinkHandler;
  /** Whether this side dialled; the dialler's call ids are odd. */
  readonly dialled: boolean;
  readonly settings?: Partial<LinkSettings>;
}

interface Notice {
  readonly method: string;
  readonly header: unknown;
}

/** A link over any pipe, after the handshake: sends and routes frames; calls, bodies and heartbeats do the rest. */
export class Connection implements Link, MessageReceiver, HeartbeatLink {
  readonly peer: LinkPeer;
  readonly closed: Promise<OrbError | undefined>;
  /** Resolves when the other side's WELCOME is in; rejects when it closes instead. The listener's is resolved at once. */
  readonly welcomed: Promise<void>;
  readonly #pipe: MessagePipe;
  readonly #handler: LinkHandler;
  /** Lowest bit of the ids of this side's calls. */
  readonly #parity: 0 | 1;
  readonly #settings: LinkSettings;
  readonly #batch: FrameBatch;
  readonly #wire: Wire;
  readonly #outgoing: OutgoingCalls;
  readonly #incoming: IncomingCalls;
  readonly #heartbeat: Heartbeat;
  readonly #closedResolvers = deferred<OrbError | undefined>();
  readonly #welcome = deferred<void>();
  /** Calls and notices of the message being read: they are handled after it, when their bodies are in too. */
  readonly #arrived: (ServedCall | Notice)[] = [];
  #welcomeDue: boolean;
  #state: 'open' | 'closing' | 'gone' = 'open';
  #reason: OrbError | undefined;

  constructor(options: ConnectionOptions, pipe: MessagePipe) {
    this.peer = options.peer;
    this.closed = this.#closedResolvers.promise;
    this.welcomed = this.#welcome.promise;
    this.#welcome.promise.catch(() => undefined);
    this.#pipe = pipe;
    this.#handler = options.handler;
    this.#parity = options.dialled ? 1 : 0;
    this.#welcomeDue = options.dialled;
    this.#settings = { ...defaultLinkSettings, ...options.settings };
    this.#batch = new FrameBatch({
      headRoom: pipe.headRoom,
      recordRoom: pipe.recordRoom,
      send: (slab, start, end, done) => this.#send(slab, start, end, done),
    });
    this.#wire = new Wire(this.#batch, this.#settings, () => pipe.buffered);
    this.#outgoing = new OutgoingCalls(this.#wire, options.dialled ? 1 : 2);
    this.#incoming = new IncomingCalls(this.#wire, options.dialled ? 2 : 1);
    if (!options.dialled) {
      this.#batch.json(frameTypes.welcome, 0, 0, '{}');
      this.#welcome.resolve();
    }
    this.#heartbeat = new Heartbeat(this, this.#settings);
  }

  /** Begins to read. Whoever made the connection calls it when everybody who must know of the link does. */
  start(): void {
    this.#pipe.receive(this);
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get rttMs(): number | undefined {
    return this.#heartbeat.rttMs;
  }

  get pending(): number {
    return this.#outgoing.size;
  }

  call(method: string, header: unknown, body?: LinkBodySource, options?: { readonly signal?: CancelSignal }): Promise<LinkAnswer> {
    return this.#outgoing.make(method, header, body, options?.signal);
  }

  notify(method: string, header: unknown): void {
    if (this.#state !== 'open') return;
    if (!isMethod(method)) throw new OrbError('invalid-request', { message: `${JSON.stringify(method)} cannot be a link's method.` });
    this.#batch.json(frameTypes.notice, 0, 0, jsonOf(header), method);
  }

  releaseProcess(): void {
    const keepProcess = (busy: boolean) => this.#pipe.keepProcess?.(busy);
    this.#outgoing.onBusy = keepProcess;
    this.#pipe.keepProcess?.(this.pending > 0);
  }

  async close(reason?: OrbError): Promise<void> {
    this.#close(reason, true);
    await this.closed;
  }

  message(message: string | Buffer): void {
    if (this.#state !== 'open') return;
    this.#heartbeat.heard();
    try {
      if (typeof message === 'string') throw violation('a text after the handshake');
      if (message.length > linkLimits.messageBytes) throw violation(`a message of ${message.length} bytes`);
      readFrames(message, this.#onFrame);
    } catch (error) {
      this.#close(asOrbError(error), true);
    }
    this.#handleArrived();
  }

  drain(): void {
    this.#wire.sendPieces();
  }

  /** The pipe is gone. */
  gone(broken?: string): void {
    this.#close(broken === undefined ? new OrbError('link-closed', { message: 'The connection was lost.' }) : violation(broken), false);
    this.#state = 'gone';
    this.#closedResolvers.resolve(this.#reason);
  }

  sendPing(nonce: Uint8Array): void {
    this.#batch.bytes(frameTypes.ping, 0, 0, nonce);
    this.#batch.shrink();
  }

  dead(reason: OrbError): void {
    this.#close(reason, true);
    this.#pipe.destroy();
  }

  readonly #onFrame = (type: FrameType, flags: number, id: number, message: Buffer, start: number, end: number): void => {
    if (this.#state !== 'open') return;
    if (this.#welcomeDue) this.#checkFirst(type);
    if (id === 0) this.#onLinkFrame(type, message, start, end);
    else if ((id & 1) === this.#parity) this.#onAnswerFrame(type, flags, id, message, start, end);
    else this.#onCallFrame(type, flags, id, message, start, end);
  };

  /** Frames about a call that this side has made. */
  #onAnswerFrame(type: FrameType, flags: number, id: number, message: Buffer, start: number, end: number): void {
    const last = (flags & frameFlags.fin) !== 0;
    switch (type) {
      case frameTypes.answer:
        this.#outgoing.get(id).onAnswer(parseJson(message, start, end), last);
        break;
      case frameTypes.data:
        if (end === start && !last) throw violation('an empty piece of a body');
        this.#outgoing.get(id).onData(message, start, end, last);
        break;
      case frameTypes.end:
        this.#outgoing.get(id).onEnd(end === start ? undefined : parseJson(message, start, end));
        break;
      case frameTypes.error:
        this.#outgoing.get(id).onError(parseJson(message, start, end));
        break;
      case frameTypes.credit:
        this.#outgoing.find(id)?.onCredit(readU32(message, start));
        break;
      case frameTypes.discard:
        this.#outgoing.find(id)?.onDiscard();
        break;
      default:
        throw violation(`frame type ${type} about a call of this side`);
    }
  }

  /** Frames about a call that the other side makes. */
  #onCallFrame(type: FrameType, flags: number, id: number, message: Buffer, start: number, end: number): void {
    const last = (flags & frameFlags.fin) !== 0;
    switch (type) {
      case frameTypes.call:
        this.#onCall(id, last, message, start, end);
        break;
      case frameTypes.data:
        if (end === start && !last) throw violation('an empty piece of a body');
        this.#incoming.get(id).onData(message, start, end, last);
        break;
      case frameTypes.end:
        if (end !== start) throw violation('a trailer after the body of a call');
        this.#incoming.get(id).onEnd();
        break;
      case frameTypes.cancel:
        this.#incoming.find(id)?.onCancel();
        break;
      case frameTypes.credit:
        this.#incoming.find(id)?.onCredit(readU32(message, start));
        break;
      case frameTypes.discard:
        this.#incoming.find(id)?.onDiscard();
        break;
      default:
        throw violation(`frame type ${type} about a call of the other side`);
    }
  }

  #onLinkFrame(type: FrameType, message: Buffer, start: number, end: number): void {
    switch (type) {
      case frameTypes.notice: {
        const jsonStart = methodEnd(message, start, end);
        const method = readMethod(message, start, jsonStart);
        const header = parseJson(message, jsonStart, end);
        this.#arrived.push({ method, header });
        break;
      }
      case frameTypes.credit:
        this.#wire.addCredit(readU32(message, start));
        break;
      case frameTypes.ping:
        this.#batch.bytes(frameTypes.pong, 0, 0, message.subarray(start, end));
        break;
      case frameTypes.pong:
        this.#heartbeat.pong(message, start, end);
        break;
      case frameTypes.close:
        this.#handleArrived();
        this.#close(end === start ? undefined : errorFromBody(parseJson(message, start, end)), false);
        this.#pipe.close();
        break;
      case frameTypes.welcome:
        if (!this.#welcomeDue) throw violation('a second WELCOME');
        this.#welcomeDue = false;
        this.#welcome.resolve();
        break;
      default:
        throw violation(`frame type ${type} about the link`);
    }
  }

  #onCall(id: number, last: boolean, message: Buffer, start: number, end: number): void {
    const jsonStart = methodEnd(message, start, end);
    const method = readMethod(message, start, jsonStart);
    const header = parseJson(message, jsonStart, end);
    const call = this.#incoming.add(id, method, header, end - jsonStart, last);
    if (call !== undefined) this.#arrived.push(call);
  }

  #handle(arrived: ServedCall | Notice): void {
    if (arrived instanceof ServedCall) this.#serve(arrived);
    else this.#handler.notice(arrived.method, arrived.header, this);
  }

  #serve(call: ServedCall): void {
    let answer;
    try {
      answer = this.#handler.call(call, this);
    } catch (error) {
      call.fail(error);
      return;
    }
    answer.then(
      (given) => call.answer(given),
      (error: unknown) => call.fail(error),
    );
  }

  #handleArrived(): void {
    try {
      for (const arrived of this.#arrived) if (this.#state === 'open') this.#handle(arrived);
    } catch (error) {
      this.#close(asOrbError(error), true);
    }
    this.#arrived.length = 0;
  }

  #checkFirst(type: FrameType): void {
    if (type !== frameTypes.welcome && type !== frameTypes.close) throw violation('the listener did not begin with WELCOME');
  }

  #send(slab: Buffer, start: number, end: number, done: () => void): void {
    if (this.#state === 'gone') return;
    this.#pipe.sendFrom(slab, start, end, done);
    if (this.#pipe.buffered <= this.#settings.outputMaxBytes || this.#state !== 'open') return;
    this.#close(new OrbError('link-closed', { message: 'The other side of the link does not read what it is sent.' }), false);
    this.#pipe.destroy();
  }

  #close(reason: OrbError | undefined, tell: boolean): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#reason = reason;
    this.#heartbeat.stop();
    const ended = closedError(reason);
    this.#welcome.reject(reason ?? ended);
    this.#outgoing.close(ended);
    this.#incoming.close(ended);
    if (!tell) return;
    if (reason === undefined) this.#batch.bytes(frameTypes.close, 0, 0);
    else this.#batch.json(frameTypes.close, 0, 0, errorJson(reason));
    this.#batch.flush();
    this.#pipe.close();
  }
}

/** What the calls of a link end with when it does. */
function closedError(reason: OrbError | undefined): OrbError {
  if (reason === undefined) return new OrbError('link-closed');
  if (reason.code === 'link-closed') return reason;
  return new OrbError('link-closed', { message: `The link was closed: ${reason.message}`, cause: reason });
}
