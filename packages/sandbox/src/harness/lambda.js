// AWS Lambda's handler shape: API Gateway HTTP API events of payload format 2.0, and its rules for results.
import {
  asBytes,
  dateNow,
  decode,
  hasInstance,
  jsonParse,
  jsonStringify,
  textIndexOf,
  textSlice,
  textSplit,
  textToLowerCase,
  textTrim,
} from './primordials.js';

const { URLSearchParams, atob, btoa } = globalThis;
const textTypes = /^(text\/.*|application\/(json|javascript|xml|x-www-form-urlencoded|.*\+(json|xml)))$/;

/** @param {Function} handler @param {any} job @param {Uint8Array} body */
export function callLambda(handler, job, body) {
  const event = job.head.mode === 'event' ? bareEvent(body) : httpEvent(job.head, body);
  const context = contextOf(job);
  if (handler.length < 3) return handler(event, context);
  return new Promise((resolve, reject) => {
    const result = handler(event, context, (/** @type {unknown} */ error, /** @type {unknown} */ value) =>
      error ? reject(error) : resolve(value),
    );
    if (hasInstance(Promise, result)) resolve(result);
  });
}

/** @param {Uint8Array} body */
function bareEvent(body) {
  return body.length === 0 ? null : jsonParse(decode(body));
}

/** @param {any} job */
function contextOf(job) {
  const { context } = job.head;
  const { ctx } = job;
  return {
    callId: ctx.callId,
    jobId: ctx.jobId,
    attempt: ctx.attempt,
    function: ctx.function,
    version: ctx.version,
    deadline: ctx.deadline,
    env: ctx.env,
    caller: ctx.caller,
    get signal() {
      return ctx.signal;
    },
    get log() {
      return ctx.log;
    },
    waitUntil: ctx.waitUntil,
    call: ctx.call,
    callbackWaitsForEmptyEventLoop: false,
    awsRequestId: context.job,
    functionName: context.function,
    functionVersion: context.version,
    invokedFunctionArn: `orb:${context.function}:${context.version}`,
    memoryLimitInMB: String(context.memoryMiB),
    logGroupName: context.function,
    logStreamName: context.job,
    getRemainingTimeInMillis: () => Math.max(0, job.deadline - dateNow()),
  };
}

/** @param {any} head @param {Uint8Array} body */
function httpEvent(head, body) {
  const at = textIndexOf(head.path, '?');
  const rawPath = at < 0 ? head.path : textSlice(head.path, 0, at);
  const rawQueryString = at < 0 ? '' : textSlice(head.path, at + 1);
  const { headers, cookies } = headersOf(head.headers);
  const query = joined(new URLSearchParams(rawQueryString));
  const text = textTypes.test(textToLowerCase(textTrim(textSplit(headers['content-type'] ?? '', ';')[0])));
  const now = dateNow();
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath,
    rawQueryString,
    ...(cookies.length > 0 && { cookies }),
    headers,
    ...(rawQueryString !== '' && { queryStringParameters: query }),
    requestContext: {
      accountId: head.context.caller?.account ?? 'anonymous',
      apiId: head.context.function,
      domainName: headers['host'] ?? 'function.invalid',
      domainPrefix: textSplit(headers['host'] ?? 'function', '.')[0],
      http: {
        method: head.method,
        path: rawPath,
        protocol: 'HTTP/1.1',
        sourceIp: textTrim(textSplit(headers['x-forwarded-for'] ?? '', ',')[0]),
        userAgent: headers['user-agent'] ?? '',
      },
      requestId: head.context.call,
      routeKey: '$default',
      stage: '$default',
      time: logTime(new Date(now)),
      timeEpoch: now,
    },
    ...(body.length > 0 && { body: text ? decode(body) : toBase64(body) }),
    isBase64Encoded: body.length > 0 && !text,
  };
}

/** As web servers log it, which is how API Gateway says it: `20/Nov/2026:16:07:25 +0000`. @param {Date} date */
function logTime(date) {
  const [, day, month, year, clock] = textSplit(date.toUTCString(), ' ');
  return `${day}/${month}/${year}:${clock} +0000`;
}

/** Header names in lower case, repeated ones joined with commas, cookies apart. @param {[string, string][]} pairs */
function headersOf(pairs) {
  const cookies = [];
  const rest = [];
  for (const [name, value] of pairs) {
    if (textToLowerCase(name) === 'cookie') for (const cookie of textSplit(value, ';')) cookies.push(textTrim(cookie));
    else rest.push([textToLowerCase(name), value]);
  }
  return { headers: joined(rest), cookies };
}

/** @param {Iterable<any>} pairs */
function joined(pairs) {
  /** @type {Record<string, string>} */
  const all = Object.create(null);
  for (const [name, value] of pairs) all[name] = name in all ? `${all[name]},${value}` : value;
  return Object.assign({}, all);
}

/** @param {any} job @param {any} result */
export function answerLambda(job, result) {
  if (job.head.mode === 'event' || typeof result !== 'object' || result === null || !('statusCode' in result)) {
    return answerValue(job, result);
  }
  const status = Number(result.statusCode);
  if (!Number.isInteger(status) || status < 200 || status > 599)
    return job.refuse(`statusCode must be from 200 to 599, not ${String(result.statusCode)}.`);
  const headers = responseHeaders(result);
  const { body, isBase64Encoded } = result;
  if (body === undefined || body === null || body === '') return job.answer(status, headers, undefined);
  const bytes = asBytes(body);
  if (bytes) return job.answer(status, headers, bytes);
  if (typeof body !== 'string') return job.refuse('The body of the result must be a string; encode bytes with base64.');
  if (!isBase64Encoded) return job.answer(status, headers, body);
  try {
    job.answer(status, headers, fromBase64(body));
  } catch {
    job.refuse('isBase64Encoded is set, but the body is not base64.');
  }
}

/** @param {any} job @param {unknown} value */
function answerValue(job, value) {
  let text;
  try {
    text = value === undefined ? 'null' : jsonStringify(value);
  } catch (error) {
    return job.refuse(`The result is not JSON: ${/** @type {Error} */ (error).message}`);
  }
  if (text === undefined) return job.refuse(`The result is not JSON: it is a ${typeof value}.`);
  job.answer(200, '[["content-type","application/json"]]', text);
}

/** @param {any} result */
function responseHeaders(result) {
  const pairs = [];
  for (const [name, value] of Object.entries(result.headers ?? {})) if (value !== undefined) pairs.push([name, String(value)]);
  for (const [name, values] of Object.entries(result.multiValueHeaders ?? {}))
    for (const value of values) pairs.push([name, String(value)]);
  for (const cookie of result.cookies ?? []) pairs.push(['set-cookie', String(cookie)]);
  if (!pairs.some(([name]) => textToLowerCase(name) === 'content-type') && result.body) pairs.push(['content-type', 'application/json']);
  return jsonStringify(pairs);
}

/** @param {Uint8Array} bytes */
function toBase64(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8_192) text += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  return btoa(text);
}

/** @param {string} text */
function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
