import { asOrbError, fromUtf8, limits, OrbError, utf8 } from '@orb/protocol';
import { chunkBytes, fetchOps, inlineBytes, maxFetches, maxFetchesAtOnce, readU32, u32, windowBytes } from '../harness/wire.js';
import type { Invocation, WebRequest } from '../port.ts';
import { ResponseBody } from './response-body.ts';
import { BodySender } from './send-body.ts';

/** Where the frames of one job's requests go. */
export interface FetchWay {
  send(payload: Uint8Array): void;
  /** Resolves when the way to the process is free. */
  drained(): Promise<void>;
}

/** Room for the JSON of the longest address and headers. */
const maxHeadBytes = 65_536;
const methodPattern = /^[A-Za-z]{1,16}$/;
const redirects = ['follow', 'error', 'manual'] as const;

interface Head {
  readonly url: string;
  readonly method: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly redirect: WebRequest['redirect'];
  /** The body follows in pieces. */
  readonly streamed: boolean;
  /** Bytes of that body, where they are known. */
  readonly length: number | undefined;
}

/** The requests to the network that one job makes: each frame is checked, and nothing goes out but by the invocation's `fetch`. */
export class JobFetches {
  readonly #fetch: Invocation['fetch'];
  readonly #way: FetchWay;
  readonly #open = new Map<number, Exchange>();
  #last = 0;
  #over = false;

  constructor(invocation: Pick<Invocation, 'fetch'>, way: FetchWay) {
    this.#fetch = invocation.fetch?.bind(invocation);
    this.#way = way;
  }

  /** @returns false for a word about a request that has ended. @throws TypeError for what the harness would not send */
  take(payload: Uint8Array): boolean {
    if (payload.length < 5) throw new TypeError('a request that is cut');
    const number = readU32(payload, 0);
    const op = payload[4]!;
    const rest = payload.subarray(5);
    if (op === fetchOps.start) return this.#start(number, rest);
    const exchange = this.#open.get(number);
    // From now on the harness counts it no more.
    if (op === fetchOps.abort) this.#open.delete(number);
    if (exchange) return exchange.take(op, rest);
    if (number === 0 || number > this.#last) throw new TypeError(`a word about request ${number}, which was never made`);
    return false;
  }

  /** The job is over: nobody waits for answers. */
  end(): void {
    this.#over = true;
    for (const exchange of this.#open.values()) exchange.abort(new OrbError('cancelled'));
  }

  #start(number: number, rest: Uint8Array): boolean {
    const { head, body } = readStart(rest);
    // The harness counts too: more comes from nothing well-meant.
    if (number !== ++this.#last || number > maxFetches || this.#open.size >= maxFetchesAtOnce)
      throw new TypeError('requests out of order, or too many');
    const exchange = new Exchange(head, body, {
      send: (op, bytes) => {
        if (!this.#over) this.#way.send(frameOf(number, op, bytes));
      },
      drained: () => this.#way.drained(),
    });
    this.#open.set(number, exchange);
    void exchange.run(this.#fetch, () => this.#open.delete(number));
    return true;
  }
}

interface ExchangeWay {
  send(op: number, bytes: Uint8Array): void;
  drained(): Promise<void>;
}

const nothing = new Uint8Array();

class Exchange {
  readonly #request: WebRequest;
  readonly #way: ExchangeWay;
  readonly #controller = new AbortController();
  readonly #download = new BodySender();
  /** The body on its way out, where it comes in pieces. */
  readonly #upload: ResponseBody | undefined;

  constructor({ url, method, headers, redirect, streamed, length }: Head, body: Uint8Array, way: ExchangeWay) {
    this.#way = way;
    const { signal } = this.#controller;
    this.#upload = streamed
      ? new ResponseBody(
          (bytes) => way.send(fetchOps.credit, u32(bytes)),
          () => undefined,
        )
      : undefined;
    const sent = this.#upload ?? (body.length > 0 ? body : undefined);
    this.#request = { url, method, headers, redirect, signal, ...(sent && { body: sent }), ...(length !== undefined && { length }) };
  }

  /** @param onEnd called before the last word about it is sent */
  async run(fetch: Invocation['fetch'], onEnd: () => void): Promise<void> {
    try {
      if (!fetch) throw new OrbError('forbidden', { message: 'This function has no network: it is deployed without --network.' });
      const { body, ...head } = await fetch(this.#request);
      this.#way.send(fetchOps.start, utf8(JSON.stringify(head)));
      await this.#download.send(body, {
        piece: (bytes) => this.#way.send(fetchOps.piece, bytes),
        end: () => {
          onEnd();
          this.#way.send(fetchOps.end, nothing);
        },
        drained: () => this.#way.drained(),
      });
    } catch (cause) {
      const { code, message } = asOrbError(cause);
      onEnd();
      this.#way.send(fetchOps.abort, utf8(JSON.stringify({ code, message })));
    } finally {
      onEnd();
      this.#upload?.end(new OrbError('cancelled'));
    }
  }

  take(op: number, rest: Uint8Array): boolean {
    if (op === fetchOps.abort) return this.abort(new OrbError('cancelled', { message: 'The request was given up.' }));
    if (op === fetchOps.credit) return rest.length === 4 && this.#download.addCredit(readU32(rest, 0));
    if (!this.#upload) throw new TypeError('a body that was not announced');
    if (op === fetchOps.end) this.#upload.end();
    else if (op === fetchOps.piece) this.#piece(rest);
    else throw new TypeError(`word ${op} about a request`);
    return true;
  }

  abort(reason: OrbError): true {
    this.#controller.abort(reason);
    this.#upload?.end(reason);
    this.#download.stop();
    return true;
  }

  #piece(bytes: Uint8Array): void {
    if (bytes.length === 0 || bytes.length > chunkBytes || this.#upload!.waiting >= windowBytes)
      throw new TypeError('more of a body than it was given credit for');
    this.#upload!.push(bytes.slice());
  }
}

function frameOf(number: number, op: number, bytes: Uint8Array): Uint8Array {
  const frame = new Uint8Array(5 + bytes.length);
  frame.set(u32(number), 0);
  frame[4] = op;
  frame.set(bytes, 5);
  return frame;
}

function readStart(rest: Uint8Array): { head: Head; body: Uint8Array } {
  const headEnd = rest.length >= 4 ? 4 + readU32(rest, 0) : Number.POSITIVE_INFINITY;
  if (headEnd > rest.length || headEnd > maxHeadBytes || rest.length - headEnd > inlineBytes)
    throw new TypeError('a request that is cut or too long');
  const { url, method, headers, redirect, streamed, length } = JSON.parse(fromUtf8(rest.subarray(4, headEnd))) as Record<string, unknown>;
  const right =
    typeof url === 'string' &&
    url.length <= limits.fetchUrlBytes &&
    typeof method === 'string' &&
    methodPattern.test(method) &&
    redirects.includes(redirect as Head['redirect']) &&
    (length === undefined || (Number.isSafeInteger(length) && (length as number) >= 0)) &&
    areHeaders(headers);
  if (!right) throw new TypeError('a request that is none');
  return {
    head: {
      url,
      method,
      headers,
      redirect: redirect as Head['redirect'],
      streamed: streamed === true,
      length: length as number | undefined,
    },
    // A copy: the frame's bytes are only valid during this call.
    body: rest.slice(headEnd),
  };
}

/** Pairs of text within the limits; what is in them is for whoever sends them to check. */
function areHeaders(value: unknown): value is Head['headers'] {
  if (!Array.isArray(value) || value.length > limits.headersCount) return false;
  let chars = 0;
  for (const pair of value as unknown[]) {
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'string' || typeof pair[1] !== 'string') return false;
    chars += pair[0].length + pair[1].length;
  }
  return chars <= limits.headersBytes;
}
