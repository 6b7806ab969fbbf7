// The frames between host and function, and how both sides read them.
//
//   u32 length of what follows | u8 type | u32 job | payload          (all numbers little-endian)
//
// The host trusts nothing that arrives; the harness trusts the host.
import { bytesSet, bytesSubarray } from './primordials.js';

/** Host → function. `call` and `told`: u32 head length, JSON head, body; of `call` a list, see {@link callHead}. */
export const toFunction = { load: 1, call: 2, body: 3, bodyEnd: 4, abort: 5, credit: 6, ping: 7, told: 8, fetch: 9, tidy: 10 };
/**
 * Function → host. `loadFailed`: UTF-8 message, NUL, stack for the owner. `answer` and `head`: u8 flags, u16 status, u32 headers length, JSON headers, body (only `answer`).
 * `end`: u8 flags. `failed`: u8 flags, u8 fault, u8 length and text of the error's name, UTF-8 message. `log`: u8 level, UTF-8 text. `credit`: u32 bytes. `ask`: u32 number of the question, u32 head length, JSON head, body.
 */
export const toHost = {
  ready: 65,
  loaded: 66,
  loadFailed: 67,
  answer: 68,
  head: 69,
  chunk: 70,
  end: 71,
  failed: 72,
  log: 73,
  credit: 74,
  pong: 75,
  settled: 76,
  ask: 77,
  fetch: 78,
  tidied: 79,
};
/**
 * What a `fetch` frame says after the u32 number of the request, in both directions. `start` of the function: u32 head length, JSON
 * head, body where it is short; of the host: JSON head. `piece`: bytes. `credit`: u32 bytes. `abort` of the host: JSON error.
 */
export const fetchOps = { start: 0, piece: 1, end: 2, credit: 3, abort: 4 };
/** Flag of `answer`, `end` and `failed`: nothing of the job is left running. */
export const settledFlag = 1;
/** Flag of `head`: the body exists whole already and only its way is in pieces. */
export const wholeFlag = 2;
/** A request body that arrives in pieces, for a handler that wants it whole: the most it may have. */
export const bufferedBytes = 6_291_456;
/** Faults of a `failed` frame, by number. */
export const faults = ['function-failed', 'bad-response', 'out-of-memory', 'response-too-large'];
/** Log levels, by number. */
export const logLevels = ['debug', 'info', 'warn', 'error'];

export const headerBytes = 9;
/** A body up to this size travels in one frame. */
export const inlineBytes = 262_144;
/** A larger one travels in pieces of this size … */
export const chunkBytes = 65_536;
/** … with at most this much sent and not yet consumed. */
export const windowBytes = 262_144;
/** What a piece counts against the window: tiny ones cost more than their bytes to keep. @type {(bytes: number) => number} */
export const pieceCost = (bytes) => (bytes < 1_024 ? 1_024 : bytes);
/** No frame from the function is longer: an inline body, its headers, and some room. */
export const maxFrameFromFunction = inlineBytes + 65_536;
/** No frame from the host is longer: the code and its head. */
export const maxFrameFromHost = 0x7fffffff;

/** The most bytes of input for a call of another function: limits.callInputBytes, in one frame. */
export const maxAskBytes = 262_144;
/** Calls that one job may make: limits.callsPerJob. */
export const maxAsks = 64;

/** Requests to the network that one job may make, and at once: limits.fetchesPerJob, limits.fetchesAtOnce. */
export const maxFetches = 64;
export const maxFetchesAtOnce = 8;

/** Bounds of what one job may log; harness and host both hold to them. */
export const logLimits = { lines: 1_000, bytes: 262_144, lineBytes: 8_192 };

/**
 * The head of a call from its list, which is written and read in two thirds of the time of an object.
 * @param {any[]} row
 */
export function callHead([mode, method, path, headers, timeoutMs, streamed, call, job, attempt, caller, fixed]) {
  return { mode, method, path, headers, timeoutMs, streamed, fixed, context: { call, job, attempt, caller: caller ?? undefined } };
}

/** Reads a little-endian u32. @type {(bytes: Uint8Array, at: number) => number} */
export function readU32(bytes, at) {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

/** Writes a little-endian u32. @type {(bytes: Uint8Array, at: number, value: number) => void} */
export function writeU32(bytes, at, value) {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** @type {(value: number) => Uint8Array} */
export function u32(value) {
  const bytes = new Uint8Array(4);
  writeU32(bytes, 0, value);
  return bytes;
}

/** Cuts a stream of bytes into frames. Holds at most one unfinished frame. */
export class FrameReader {
  /**
   * @param {number} maxBytes longest frame
   * @param {(type: number, job: number, payload: Uint8Array) => void} onFrame the payload may be a view that is only
   *   valid during the call
   */
  constructor(maxBytes, onFrame) {
    this.maxBytes = maxBytes;
    this.onFrame = onFrame;
    /** Start of a frame whose header is not complete. @type {Uint8Array | undefined} */
    this.carry = undefined;
    /** A frame that is being filled. @type {Uint8Array | undefined} */
    this.partial = undefined;
    this.filled = 0;
  }

  /** @param {Uint8Array} chunk @throws RangeError for a length that no frame has */
  push(chunk) {
    let at = this.partial ? this.#fill(chunk) : 0;
    if (this.partial) return;
    let bytes = chunk;
    if (this.carry) {
      bytes = new Uint8Array(this.carry.length + chunk.length - at);
      bytesSet(bytes, this.carry, 0);
      bytesSet(bytes, bytesSubarray(chunk, at), this.carry.length);
      this.carry = undefined;
      at = 0;
    }
    for (;;) {
      const left = bytes.length - at;
      if (left < headerBytes) {
        if (left > 0) this.carry = new Uint8Array(bytesSubarray(bytes, at));
        return;
      }
      const size = this.#frameSize(bytes, at);
      if (left < size) {
        this.partial = new Uint8Array(size);
        bytesSet(this.partial, bytesSubarray(bytes, at), 0);
        this.filled = left;
        return;
      }
      this.onFrame(bytes[at + 4], readU32(bytes, at + 5), bytesSubarray(bytes, at + headerBytes, at + size));
      at += size;
    }
  }

  /** @param {Uint8Array} bytes @param {number} at */
  #frameSize(bytes, at) {
    const length = readU32(bytes, at);
    if (length < headerBytes - 4 || length > this.maxBytes) throw new RangeError(`a frame of ${length} bytes`);
    return length + 4;
  }

  /** Takes what belongs to the unfinished frame; returns where the next one starts. @param {Uint8Array} chunk */
  #fill(chunk) {
    const partial = /** @type {Uint8Array} */ (this.partial);
    const wanted = partial.length - this.filled;
    const taken = wanted < chunk.length ? wanted : chunk.length;
    bytesSet(partial, bytesSubarray(chunk, 0, taken), this.filled);
    this.filled += taken;
    if (this.filled < partial.length) return taken;
    this.partial = undefined;
    this.onFrame(partial[4], readU32(partial, 5), bytesSubarray(partial, headerBytes));
    return taken;
  }
}
