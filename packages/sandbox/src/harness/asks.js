// Calls from this function to others. Only the host can reach anything: it is asked, and tells the answer.
import {
  asBytes,
  bytesSet,
  decode,
  encode,
  jsonParse,
  jsonStringify,
  mapDelete,
  mapGet,
  mapSet,
  mapValues,
  matches,
  toText,
} from './primordials.js';
import { maxAskBytes, toHost, writeU32 } from './wire.js';

const functionName = /^[a-z0-9-]{1,39}\/[a-z0-9-]{1,63}$/;
const json = /^application\/(.+\+)?json\b/i;
const text = /^text\//i;

/** Why a call of another function gave no result. */
class CallError extends Error {
  /** @param {string} message @param {{ code: string, status?: number, retryable?: boolean }} facts */
  constructor(message, { code, status, retryable = false }) {
    super(message);
    this.name = 'CallError';
    this.code = code;
    this.status = status;
    this.retryable = retryable;
  }
}

export class Asks {
  /** @param {(head: Uint8Array, body: Uint8Array | undefined) => void} send */
  constructor(send) {
    this.send = send;
    this.last = 0;
    /** @type {Map<number, { target: string, resolve: (value: unknown) => void, reject: (reason: unknown) => void }>} */
    this.open = new Map();
  }

  /** @param {any} given a name or a descriptor @param {unknown} input @param {{ timeoutMs?: number }} [options] @returns {Promise<unknown>} */
  async ask(given, input, options) {
    const head = targetOf(given);
    const bytes = asBytes(input);
    const body = bytes ?? (input === undefined ? undefined : encode(jsonText(input)));
    if (body && body.length > maxAskBytes)
      throw new CallError(`The input of ${head.target} has ${body.length} bytes; the limit is ${maxAskBytes}.`, { code: 'too-large' });
    const number = ++this.last;
    const words = encode(
      jsonStringify({ ...head, type: body && (bytes ? 'application/octet-stream' : 'application/json'), timeoutMs: options?.timeoutMs }),
    );
    const start = new Uint8Array(8 + words.length);
    writeU32(start, 0, number);
    writeU32(start, 4, words.length);
    bytesSet(start, words, 8);
    return new Promise((resolve, reject) => {
      mapSet(this.open, number, { target: head.target, resolve, reject });
      this.send(start, body);
    });
  }

  /** @param {any} head @param {Uint8Array} body a view that is only valid during the call */
  tell(head, body) {
    const asked = mapGet(this.open, head.ask);
    if (!asked) return;
    mapDelete(this.open, head.ask);
    try {
      asked.resolve(outputOf(asked.target, head, body));
    } catch (error) {
      asked.reject(error);
    }
  }

  /** Nothing is answered any more. @param {unknown} reason */
  end(reason) {
    for (const { reject } of mapValues(this.open)) reject(reason);
    this.open = new Map();
  }
}

/** @param {unknown} input */
function jsonText(input) {
  const words = jsonStringify(input);
  if (words === undefined) throw new TypeError(`The input is not JSON: it is a ${typeof input}.`);
  return words;
}

/** @param {any} given */
function targetOf(given) {
  const target = typeof given === 'string' ? given : `${toText(given?.owner)}/${toText(given?.name)}`;
  if (!matches(functionName, target)) throw new TypeError('ctx.call takes OWNER/NAME or a descriptor.');
  const { function: id, version } = typeof given === 'string' ? {} : given;
  return { target, ...(id && { function: toText(id) }), ...(version && { version: toText(version) }) };
}

/** @param {string} target @param {any} head @param {Uint8Array} body */
function outputOf(target, { status, headers, error }, body) {
  if (error) throw new CallError(`${target}: ${error.message}`, error);
  if (status >= 400) throw new CallError(`${target} answered with status ${status}.`, { code: 'bad-status', status });
  const type = headers.find((/** @type {[string, string]} */ [name]) => name === 'content-type')?.[1] ?? '';
  if (matches(json, type)) return body.length === 0 ? undefined : jsonParse(decode(body));
  if (matches(text, type)) return decode(body);
  return body.length === 0 ? undefined : new Uint8Array(body);
}
