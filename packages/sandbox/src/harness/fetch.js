// `fetch` inside the sandbox. There is no way out of here: the host is asked, decides, and sends what it got.
import {
  arrayPush,
  arrayShift,
  bytesSet,
  bytesSubarray,
  decode,
  encode,
  hasInstance,
  jsonParse,
  jsonStringify,
  mapDelete,
  mapGet,
  mapSet,
  mapValues,
} from './primordials.js';
import { Upload } from './upload.js';
import { chunkBytes, fetchOps, inlineBytes, maxFetches, maxFetchesAtOnce, readU32, u32, windowBytes, writeU32 } from './wire.js';

const { Request, Response, ReadableStream, DecompressionStream, DOMException } = globalThis;
/** Answers that have no body, whatever came. */
const bodiless = [204, 205, 304];
const encodings = { gzip: 'gzip', 'x-gzip': 'gzip', deflate: 'deflate' };

/** The requests of one job. */
export class Fetches {
  /** @param {(number: number, op: number, rest: Uint8Array | undefined) => void} send */
  constructor(send) {
    this.send = send;
    this.last = 0;
    this.running = 0;
    /** @type {Map<number, Exchange>} */
    this.open = new Map();
    /** Those that wait for another to end. @type {(() => void)[]} */
    this.waiting = [];
    /** @type {Error | undefined} */
    this.reason = undefined;
  }

  /** As the global `fetch`. @param {any} input @param {any} init */
  async fetch(input, init) {
    const request = new Request(input, init);
    request.signal.throwIfAborted();
    const streams = hasInstance(ReadableStream, init?.body);
    const bytes = request.body && !streams ? new Uint8Array(await request.arrayBuffer()) : undefined;
    while (this.running >= maxFetchesAtOnce && !this.reason) await new Promise((resolve) => void arrayPush(this.waiting, resolve));
    if (this.reason) throw this.reason;
    request.signal.throwIfAborted();
    if (this.last >= maxFetches) throw fetchError(`One job may make ${maxFetches} requests.`, 'fetch-failed');
    const number = ++this.last;
    const exchange = new Exchange(
      (op, rest) => this.send(number, op, rest),
      () => this.#close(number),
    );
    this.running++;
    mapSet(this.open, number, exchange);
    return exchange.run(request, bytes);
  }

  /** What the host says. @param {Uint8Array} payload a view that is only valid during the call */
  tell(payload) {
    const exchange = mapGet(this.open, readU32(payload, 0));
    exchange?.tell(payload[4], bytesSubarray(payload, 5));
  }

  /** The job is over. @param {unknown} reason */
  end(reason) {
    this.reason = reason;
    for (const exchange of mapValues(this.open)) exchange.fail(reason);
    for (const wake of this.waiting) wake();
  }

  /** @param {number} number */
  #close(number) {
    if (!mapDelete(this.open, number)) return;
    this.running--;
    arrayShift(this.waiting)?.();
  }
}

/** One request and its answer. */
class Exchange {
  /** @param {(op: number, rest?: Uint8Array) => void} send @param {() => void} close */
  constructor(send, close) {
    this.send = send;
    this.close = close;
    this.credit = windowBytes;
    this.onCredit = undefined;
    this.over = false;
    this.answered = Promise.withResolvers();
    this.download = new Upload((bytes) => {
      if (!this.over) this.send(fetchOps.credit, u32(bytes));
    });
  }

  /** @param {Request} request @param {Uint8Array | undefined} bytes its body, where that is at hand whole */
  async run(request, bytes) {
    const { signal } = request;
    const onAbort = () => this.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const inline = bytes && bytes.length <= inlineBytes ? bytes : undefined;
      const length = request.body ? bytes?.length : undefined;
      this.send(fetchOps.start, startOf(request, length, inline));
      if (request.body && !inline) void this.upload(bytes ? piecesOf(bytes) : request.body);
      return this.responseOf(await this.answered.promise);
    } catch (error) {
      signal.removeEventListener('abort', onAbort);
      this.abort(error);
      throw error;
    }
  }

  /** Sends a body as fast as the host takes it. @param {AsyncIterable<Uint8Array>} body */
  async upload(body) {
    try {
      for await (const bytes of body) {
        for (let at = 0; at < bytes.length; at += chunkBytes) {
          while (this.credit <= 0 && !this.over) await new Promise((resolve) => void (this.onCredit = resolve));
          if (this.over) return;
          const piece = bytesSubarray(bytes, at, at + chunkBytes);
          this.credit -= piece.length;
          this.send(fetchOps.piece, piece);
        }
      }
      if (!this.over) this.send(fetchOps.end);
    } catch (error) {
      this.abort(error);
    }
  }

  /** @param {number} op @param {Uint8Array} rest */
  tell(op, rest) {
    if (op === fetchOps.start) this.answered.resolve(jsonParse(decode(rest)));
    else if (op === fetchOps.piece) this.download.push(rest);
    else if (op === fetchOps.end) this.finish(() => this.download.end());
    else if (op === fetchOps.abort) {
      const { message, code } = jsonParse(decode(rest));
      this.fail(fetchError(message, code));
    } else if (op === fetchOps.credit) {
      this.credit += readU32(rest, 0);
      this.onCredit?.();
    }
  }

  /** Nobody here wants it any more. @param {unknown} reason */
  abort(reason) {
    if (this.over) return;
    this.send(fetchOps.abort);
    this.fail(reason);
  }

  /** @param {unknown} reason */
  fail(reason) {
    this.finish(() => {
      this.answered.reject(reason);
      this.download.fail(/** @type {Error} */ (reason));
    });
  }

  /** @param {() => void} work */
  finish(work) {
    if (this.over) return;
    this.over = true;
    this.onCredit?.();
    this.close();
    work();
  }

  /** @param {any} head */
  responseOf({ status, statusText, headers, url, redirected }) {
    const hasBody = !bodiless.includes(status);
    const response = new Response(hasBody ? this.body(headers) : null, { status, statusText, headers });
    Object.defineProperties(response, { url: { value: url }, redirected: { value: redirected } });
    return response;
  }

  /** @param {[string, string][]} headers */
  body(headers) {
    const { download } = this;
    const raw = new ReadableStream(
      {
        type: 'bytes',
        pull: async (controller) => {
          const piece = await download.take();
          if (piece) return controller.enqueue(piece);
          controller.close();
          controller.byobRequest?.respond(0);
        },
        cancel: (reason) => this.abort(reason),
      },
      { highWaterMark: 0 },
    );
    // Undone here, where what it unfolds to is the function's own memory.
    const encoding =
      encodings[
        headers
          .find(([name]) => name === 'content-encoding')?.[1]
          .trim()
          .toLowerCase() ?? ''
      ];
    return encoding === undefined ? raw : raw.pipeThrough(new DecompressionStream(encoding));
  }
}

/** What the web says when a request fails: a TypeError; ours has a code. @param {string} message @param {string} code */
function fetchError(message, code) {
  if (code === 'cancelled') return new DOMException(message, 'AbortError');
  return Object.assign(new TypeError(message), { code });
}

/** @param {Request} request @param {number | undefined} length @param {Uint8Array | undefined} body */
function startOf({ url, method, headers, redirect, body: hasBody }, length, body) {
  const head = encode(
    jsonStringify({ url, method, headers: [...headers], redirect, streamed: hasBody !== null && body === undefined, length }),
  );
  const start = new Uint8Array(4 + head.length + (body?.length ?? 0));
  writeU32(start, 0, head.length);
  bytesSet(start, head, 4);
  if (body) bytesSet(start, body, 4 + head.length);
  return start;
}

/** @param {Uint8Array} bytes */
async function* piecesOf(bytes) {
  yield bytes;
}
