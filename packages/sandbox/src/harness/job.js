// One call inside the function's process: its context, its answer, and what it leaves running.
import { Asks } from './asks.js';
import { Fetches } from './fetch.js';
import {
  asBytes,
  bytesSet,
  bytesSubarray,
  dateNow,
  encode,
  hasInstance,
  mapDelete,
  mapGet,
  matches,
  resolved,
  textSlice,
  whenSettled,
} from './primordials.js';
import { messageOf, nameOf, stackOf } from './thrown.js';
import { chunkBytes, faults, inlineBytes, logLimits, pieceCost, settledFlag, toHost, wholeFlag, windowBytes, writeU32 } from './wire.js';

export const jsonHeaders = '[["content-type","application/json"]]';
export const bytesHeaders = '[["content-type","application/octet-stream"]]';
/** Those of most answers, as bytes. */
const commonHeaders = new Map([jsonHeaders, bytesHeaders, '[]'].map((headers) => [headers, encode(headers)]));
/** Turns of the microtask queue that a second chunk may take before the first is sent without it. */
const patience = 16;
const turn = resolved();
const { AbortController, DOMException } = globalThis;
const badResponse = faults.indexOf('bad-response');
const exhaustedMemory = faults.indexOf('out-of-memory');
const outOfMemory = /allocat|memory/i;

/** A buffer that the process's limits refuse is a RangeError in JavaScript. @param {unknown} thrown */
function faultOf(thrown) {
  const exhausted = hasInstance(RangeError, thrown) && matches(outOfMemory, messageOf(thrown));
  return exhausted ? exhaustedMemory : 0;
}

/** What a handler gets as `ctx`. */
class Context {
  #job;
  /** @param {Job} job @param {any} head */
  constructor(job, head) {
    this.#job = job;
    this.callId = head.context.call;
    this.jobId = head.context.job;
    this.attempt = head.context.attempt;
    this.function = head.context.function;
    this.version = head.context.version;
    this.deadline = job.deadline;
    this.env = job.shared.env;
    this.caller = head.context.caller;
  }

  get signal() {
    return this.#job.signal;
  }

  get log() {
    return this.#job.logger;
  }

  /** @param {Promise<unknown>} promise */
  waitUntil = (promise) => this.#job.waitUntil(promise);

  /** @param {any} target @param {unknown} [input] @param {{ timeoutMs?: number }} [options] */
  call = (target, input, options) => this.#job.ask(target, input, options);
}

export class Job {
  /**
   * @param {number} id @param {any} head
   * @param {{ frame: Function, jobs: Map<number, Job>, format: (values: unknown[]) => string, env: Readonly<Record<string, string>> }} shared
   */
  constructor(id, head, shared) {
    this.id = id;
    this.head = head;
    this.shared = shared;
    this.deadline = dateNow() + head.timeoutMs;
    /** True once the answer is complete, or nobody wants it any more. */
    this.over = false;
    /** True while the handler itself has not settled. */
    this.handling = true;
    this.waiting = 0;
    this.aborted = false;
    this.controller = undefined;
    this.context = undefined;
    this.logging = undefined;
    this.lines = 0;
    this.logBytes = 0;
    this.credit = windowBytes;
    this.onCredit = undefined;
    this.reader = undefined;
    /** A request body that is still arriving. */
    this.upload = undefined;
    /** @type {Asks | undefined} */
    this.asks = undefined;
    /** @type {Fetches | undefined} */
    this.fetches = undefined;
  }

  /** @param {any} target @param {unknown} input @param {{ timeoutMs?: number }} [options] */
  ask(target, input, options) {
    const { shared, id } = this;
    this.asks ??= new Asks((start, body) => shared.frame(toHost.ask, id, start, body));
    return this.asks.ask(target, input, options);
  }

  /** @param {any} input @param {any} init */
  fetch(input, init) {
    this.fetches ??= new Fetches((number, op, rest) => {
      const start = new Uint8Array(5);
      writeU32(start, 0, number);
      start[4] = op;
      this.shared.frame(toHost.fetch, this.id, start, rest);
    });
    return this.fetches.fetch(input, init);
  }

  get ctx() {
    return (this.context ??= new Context(this, this.head));
  }

  get signal() {
    if (!this.controller) {
      this.controller = new AbortController();
      if (this.aborted) this.controller.abort(this.abortReason);
    }
    return this.controller.signal;
  }

  get logger() {
    if (!this.logging) {
      const at =
        (/** @type {number} */ level) =>
        (/** @type {unknown[]} */ ...values) =>
          this.log(level, this.shared.format(values));
      this.logging = { debug: at(0), info: at(1), warn: at(2), error: at(3) };
    }
    return this.logging;
  }

  /** @param {Promise<unknown>} promise */
  waitUntil(promise) {
    this.waiting++;
    const done = () => {
      this.waiting--;
      this.settle();
    };
    whenSettled(resolved(promise), done, (/** @type {unknown} */ thrown) => {
      this.log(3, `waitUntil: ${stackOf(thrown)}`);
      done();
    });
  }

  /** The caller has gone, or time is up. @param {boolean} timedOut */
  abort(timedOut) {
    if (this.aborted) return;
    this.aborted = true;
    this.abortReason = timedOut
      ? new DOMException('The time limit is reached.', 'TimeoutError')
      : new DOMException('The caller has gone.', 'AbortError');
    this.over = true;
    this.upload?.fail(this.abortReason);
    this.asks?.end(this.abortReason);
    this.fetches?.end(this.abortReason);
    this.onCredit?.();
    if (this.reader) whenSettled(this.reader.cancel(this.abortReason), undefined, () => {});
    this.controller?.abort(this.abortReason);
    this.settle();
  }

  /** Tells the host when the last piece of work of an answered job ends. */
  settle() {
    if (!this.over || this.handling || this.waiting > 0) return;
    if (mapDelete(this.shared.jobs, this.id)) this.shared.frame(toHost.settled, this.id, undefined, undefined);
  }

  /** Marks the answer as complete; the flag says whether anything is left running. */
  finish() {
    this.over = true;
    this.handling = false;
    if (this.waiting > 0) return 0;
    mapDelete(this.shared.jobs, this.id);
    return settledFlag;
  }

  /** The handler has settled; true when its result is still wanted. */
  wanted() {
    if (!this.over) return true;
    this.handling = false;
    this.settle();
    return false;
  }

  /** @param {unknown} thrown @param {number} [fault] index of {@link faults} */
  fail(thrown, fault = faultOf(thrown)) {
    if (!this.wanted()) return;
    const message = messageOf(thrown);
    // For its owner alone; the caller gets the message.
    if (fault !== badResponse && hasInstance(Error, thrown)) this.log(3, stackOf(thrown));
    const name = encode(nameOf(thrown));
    const head = new Uint8Array(3 + name.length);
    bytesSet(head, [this.finish(), fault, name.length], 0);
    bytesSet(head, name, 3);
    this.shared.frame(toHost.failed, this.id, head, message);
  }

  /** @param {string} message */
  refuse(message) {
    this.fail(message, badResponse);
  }

  /**
   * Sends a whole answer.
   * @param {number} status @param {string} headers JSON of name–value pairs @param {string | Uint8Array | undefined} body
   */
  answer(status, headers, body) {
    if (!this.wanted()) return;
    const content = typeof body === 'string' && body.length * 3 > inlineBytes ? encode(body) : body;
    if (typeof content === 'object' && content.length > inlineBytes) {
      void this.stream(status, headers, content, undefined);
      return;
    }
    this.shared.frame(toHost.answer, this.id, head(this.finish(), status, headers), content);
  }

  /**
   * Sends an answer whose body comes from a stream: in one frame when it is all there, else piece by piece.
   * @param {number} status @param {string} headers @param {ReadableStream} body
   */
  async answerStream(status, headers, body) {
    if (!this.wanted()) return;
    try {
      this.reader = body.getReader();
      const first = await this.reader.read();
      if (first.done) return this.answer(status, headers, undefined);
      const next = this.reader.read();
      let ended = false;
      whenSettled(
        next,
        (/** @type {any} */ result) => void (ended = result.done),
        () => {},
      );
      for (let i = 0; i < patience && !ended; i++) await turn;
      if (ended) return this.answer(status, headers, asBytes(first.value) ?? this.badChunk());
      await this.stream(status, headers, asBytes(first.value) ?? this.badChunk(), next);
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  /** @returns {never} */
  badChunk() {
    throw new TypeError('The response body must be made of Uint8Array chunks.');
  }

  /**
   * @param {number} status @param {string} headers @param {Uint8Array} first
   * @param {Promise<any> | undefined} second the read of the next chunk of `this.reader`, if there is one
   */
  async stream(status, headers, first, second) {
    this.shared.frame(toHost.head, this.id, head(second ? 0 : wholeFlag, status, headers), undefined);
    await this.send(first);
    for (let next = second; next; next = this.reader?.read()) {
      const { done, value } = await next;
      if (done || this.over) break;
      await this.send(asBytes(value) ?? this.badChunk());
    }
    if (!this.wanted()) return;
    this.shared.frame(toHost.end, this.id, new Uint8Array([this.finish()]), undefined);
  }

  /** Sends bytes as fast as the host consumes them. @param {Uint8Array} bytes */
  async send(bytes) {
    for (let at = 0; at < bytes.length && !this.over; at += chunkBytes) {
      while (this.credit <= 0 && !this.over) await new Promise((resolve) => void (this.onCredit = resolve));
      if (this.over) return;
      const piece = bytesSubarray(bytes, at, at + chunkBytes);
      this.credit -= pieceCost(piece.length);
      this.shared.frame(toHost.chunk, this.id, undefined, piece);
    }
  }

  /** @param {number} bytes */
  addCredit(bytes) {
    this.credit += bytes;
    this.onCredit?.();
    this.onCredit = undefined;
  }

  /** @param {number} level @param {string} text */
  log(level, text) {
    if (this.lines >= logLimits.lines || this.logBytes >= logLimits.bytes) return;
    this.lines++;
    let line = textSlice(text, 0, logLimits.lineBytes / 4);
    this.logBytes += line.length * 3;
    if (this.lines === logLimits.lines || this.logBytes >= logLimits.bytes)
      line = '(the log of this job is full; further lines are dropped)';
    this.shared.frame(toHost.log, this.id, new Uint8Array([level]), line);
  }
}

/** @param {number} flags @param {number} status @param {string} headers */
function head(flags, status, headers) {
  const text = mapGet(commonHeaders, headers) ?? encode(headers);
  const bytes = new Uint8Array(7 + text.length);
  bytes[0] = flags;
  bytes[1] = status;
  bytes[2] = status >>> 8;
  writeU32(bytes, 3, text.length);
  bytesSet(bytes, text, 7);
  return bytes;
}
