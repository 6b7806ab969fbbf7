// The three handler shapes: how an export is found, and how each turns a request into a call and its result into an answer.
import {
  asBytes,
  bytesSlice,
  decode,
  hasInstance,
  jsonParse,
  jsonStringify,
  plainArray,
  plainObject,
  prototypeOf,
  resolved,
  textEndsWith,
  textIndexOf,
  textSlice,
  textSplit,
  textStartsWith,
  textToLowerCase,
  textTrim,
  whenSettled,
} from './primordials.js';
import { bytesHeaders, jsonHeaders } from './job.js';
import { answerLambda, callLambda } from './lambda.js';
import { bufferedBytes } from './wire.js';

const { Request, Response, URLSearchParams, ReadableStream, Headers } = globalThis;

/** As the gateway says it. */
const tooLarge = jsonStringify({
  error: {
    code: 'too-large',
    message: `The body is larger than ${bufferedBytes} bytes, the limit of a handler that gets it whole.`,
    hint: 'A handler with fetch() can read a larger one as a stream.',
    faultOf: 'caller',
    retryable: false,
  },
});

/**
 * Finds the handler among a module's exports.
 * @param {any} exports @param {string} name an export's name, a dotted path, or `auto`
 * @returns {(job: any, body: any) => void} runs one job
 * @throws TypeError when no export can answer
 */
export function findShape(exports, name) {
  if (name === 'auto') {
    const main = exports?.default;
    if (typeof main?.fetch === 'function') return (job, body) => callFetch(main, job, body);
    if (typeof main === 'function') return (job, body) => callJson(main, job, body);
    if (typeof exports?.fetch === 'function') return (job, body) => callFetch(exports, job, body);
    if (typeof exports?.handler === 'function') return (job, body) => runLambda(exports.handler, job, body);
    throw new TypeError('No handler: export a default function, a default object with fetch(), or a function named handler.');
  }
  let found = exports;
  for (const part of textSplit(name, '.')) found = found?.[part];
  if (typeof found?.fetch === 'function') return (job, body) => callFetch(found, job, body);
  if (typeof found !== 'function') throw new TypeError(`No handler: there is no function exported as ${name}.`);
  if (name === 'default') return (job, body) => callJson(found, job, body);
  if (name === 'fetch') return (job, body) => callFetch(exports, job, body);
  return (job, body) => runLambda(found, job, body);
}

/** `export default (input, ctx) => output`. @param {Function} handler @param {any} job @param {any} body */
function callJson(handler, job, body) {
  if (!asBytes(body)) {
    return gather(job, body, (bytes) => callJson(handler, job, bytes));
  }
  run(
    job,
    (output) => answerJson(job, output),
    () => handler(inputOf(job.head, body), job.ctx),
  );
}

/** `export default { fetch(request, env, ctx) }`. @param {any} target @param {any} job @param {any} body */
function callFetch(target, job, body) {
  run(
    job,
    (response) => {
      if (!isResponse(response)) return job.refuse('fetch() must return a Response.');
      answerResponse(job, response);
    },
    () => target.fetch(requestOf(job, body), job.shared.env, job.ctx),
  );
}

/** `export const handler = (event, context) => …`. @param {Function} handler @param {any} job @param {any} body */
function runLambda(handler, job, body) {
  if (!asBytes(body)) {
    return gather(job, body, (bytes) => runLambda(handler, job, bytes));
  }
  run(
    job,
    (result) => answerLambda(job, result),
    () => callLambda(handler, job, body),
  );
}

/**
 * Waits for a body that arrives in pieces, for a handler that wants it whole.
 * @param {any} job @param {any} upload @param {(bytes: Uint8Array) => void} call
 */
export function gather(job, upload, call) {
  whenSettled(
    upload.bytes(),
    (/** @type {Uint8Array | undefined} */ bytes) => (bytes ? call(bytes) : job.answer(413, jsonHeaders, tooLarge)),
    (/** @type {unknown} */ thrown) => job.fail(thrown),
  );
}

/** Calls `work`, waits for what it returns, and gives that to `answer`; what either throws fails the job. */
function run(/** @type {any} */ job, /** @type {(value: any) => void} */ answer, /** @type {() => any} */ work) {
  const done = (/** @type {any} */ value) => {
    try {
      answer(value);
    } catch (thrown) {
      job.fail(thrown);
    }
  };
  try {
    const result = work();
    if (hasInstance(Promise, result)) whenSettled(result, done, (/** @type {unknown} */ thrown) => job.fail(thrown));
    else if (typeof result?.then === 'function') whenSettled(resolved(result), done, (/** @type {unknown} */ thrown) => job.fail(thrown));
    else done(result);
  } catch (thrown) {
    job.fail(thrown);
  }
}

/** The JSON shape's input. @param {any} head @param {Uint8Array} body */
function inputOf(head, body) {
  if (body.length === 0) return head.method === 'GET' && head.mode === 'http' ? queryOf(head.path) : null;
  const type = contentType(head.headers);
  if (type === '' || type === 'application/json' || textEndsWith(type, '+json')) {
    try {
      return jsonParse(decode(body));
    } catch (error) {
      if (type !== '') throw new SyntaxError(`The request body is not JSON: ${whyNot(head.headers, /** @type {Error} */ (error))}`);
    }
    return bytesSlice(body);
  }
  return textStartsWith(type, 'text/') ? decode(body) : bytesSlice(body);
}

/** Nobody unfolds a body on its way. @param {[string, string][]} headers @param {Error} error */
function whyNot(headers, { message }) {
  const encoding = headerOf(headers, 'content-encoding');
  return encoding === '' || encoding === 'identity'
    ? message
    : `it is compressed (content-encoding: ${encoding}), and comes as it was sent.`;
}

/** Query parameters as an object; a repeated one is an array. @param {string} path */
export function queryOf(path) {
  const at = textIndexOf(path, '?');
  /** @type {Record<string, string | string[]>} */
  const query = {};
  if (at < 0) return query;
  for (const [name, value] of new URLSearchParams(textSlice(path, at + 1))) {
    const before = Object.hasOwn(query, name) ? query[name] : undefined;
    const both = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value];
    Object.defineProperty(query, name, { value: both, enumerable: true, configurable: true, writable: true });
  }
  return query;
}

/** @param {[string, string][]} headers */
const contentType = (headers) => textTrim(textSplit(headerOf(headers, 'content-type'), ';')[0]);

/** The first of a name, in lower case. @param {[string, string][]} headers @param {string} wanted */
function headerOf(headers, wanted) {
  for (const [name, value] of headers) if (textToLowerCase(name) === wanted) return textToLowerCase(textTrim(value));
  return '';
}

/** @param {any} job @param {any} output */
function answerJson(job, output) {
  if (output === undefined) return job.answer(204, '[]', undefined);
  if (isPlain(output)) return answerText(job, output);
  if (isResponse(output)) return answerResponse(job, output);
  const bytes = asBytes(output);
  if (bytes) return job.answer(200, bytesHeaders, bytes);
  if (hasInstance(ReadableStream, output)) return job.answerStream(200, bytesHeaders, output);
  answerText(job, output);
}

/** Whether a value can be nothing but JSON: most are, and asking what else they might be costs as much as writing them. */
function isPlain(/** @type {unknown} */ value) {
  if (typeof value !== 'object' || value === null) return true;
  const prototype = prototypeOf(value);
  return prototype === plainObject || prototype === plainArray;
}

/** @param {any} job @param {any} output */
function answerText(job, output) {
  let text;
  try {
    text = jsonStringify(output);
  } catch (error) {
    return job.refuse(`The result is not JSON: ${/** @type {Error} */ (error).message}`);
  }
  if (text === undefined) return job.refuse(`The result is not JSON: it is a ${typeof output}.`);
  job.answer(200, jsonHeaders, text);
}

/** @param {any} value */
function isResponse(value) {
  return (
    hasInstance(Response, value) ||
    (value?.constructor?.name === 'Response' && typeof value.arrayBuffer === 'function' && typeof value.status === 'number')
  );
}

/** @param {any} job @param {Response} response */
function answerResponse(job, response) {
  if (response.bodyUsed) return job.refuse('The Response has been read already.');
  const headers = jsonStringify([...response.headers]);
  const { status, body } = response;
  if (!body) return job.answer(status, headers, undefined);
  void job.answerStream(status, headers, body);
}

/** @param {any} job @param {any} body bytes or an Upload */
function requestOf(job, body) {
  const { head } = job;
  const headers = new Headers();
  let host = 'function.invalid';
  for (const [name, value] of head.headers) {
    try {
      headers.append(name, value);
      if (textToLowerCase(name) === 'host') host = value;
    } catch {
      // A name or value that no web request can have; the function does without it.
    }
  }
  const bodiless = head.method === 'GET' || head.method === 'HEAD';
  const bytes = asBytes(body);
  const content = bodiless ? undefined : bytes ? (bytes.length > 0 ? bytesSlice(bytes) : undefined) : body.stream();
  let url;
  try {
    url = new URL(`https://${host}${head.path}`);
  } catch {
    url = new URL(`https://function.invalid${head.path}`);
  }
  return new Request(url, {
    method: head.method,
    headers,
    signal: job.signal,
    ...(content !== undefined && { body: content, duplex: 'half' }),
  });
}
