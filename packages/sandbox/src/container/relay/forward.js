// One request to the server in the function's container, and its answer, whatever that may be.
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { inlineBytes } from '../../harness/wire.js';

const host = '127.0.0.1';
/** Longest pause between two tries to reach a server that is starting, milliseconds. */
const longestPauseMs = 40;
/** An idle connection is closed before most servers would close it: a request must not cross that. */
const idleMs = 1_000;
/** A container that has ended is reported within this; one whose server alone has gone is given up after it. */
const lastWordsMs = 500;
const maxHeaderBytes = 65_536;
const badResponse = 1;
/** Belong to one connection (RFC 9110, 7.6.1); `expect` would wait for a server that may never say `100`. */
const hopByHop = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Resolves when something listens. @param {number} port */
export async function waitForServer(port) {
  for (let pauseMs = 2; !(await reach(port)); pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
    await new Promise((resolve) => void setTimeout(resolve, pauseMs));
  }
}

/** @param {number} port @returns {Promise<boolean>} */
function reach(port) {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => (socket.destroy(), resolve(true)));
    socket.on('error', () => resolve(false));
  });
}

export class Forwarder {
  #agent = new Agent({ keepAlive: true, timeout: idleMs, maxSockets: 1_024, scheduling: 'lifo' });
  #port;
  #onGone;
  #leaving = false;

  /** @param {number} port @param {() => void} onGone nothing listens there any more */
  constructor(port, onGone) {
    this.#port = port;
    this.#onGone = onGone;
  }

  /** @param {any} job @param {any} body bytes or an Upload; answers the job, and never throws */
  async forward(job, body) {
    const asked = this.#ask(job, body);
    // Aborting the job, at any point, ends the exchange.
    job.reader = { cancel: async () => void asked.request.destroy(), read: undefined };
    try {
      await answer(job, await asked.response);
    } catch (thrown) {
      // What breaks a response that has begun is told to the request alone.
      const error = asked.error() ?? thrown;
      const broken = ['ECONNREFUSED', 'ECONNRESET'].includes(/** @type {any} */ (error).code);
      // The whole container may be ending: the host knows why, and says so to the job.
      if (broken && !job.over && !(await reach(this.#port))) return this.#gone();
      job.fail(...explain(/** @type {any} */ (error)));
    }
  }

  /** Once; what comes after is told the same. */
  #gone() {
    if (this.#leaving) return;
    this.#leaving = true;
    setTimeout(this.#onGone, lastWordsMs);
  }

  /** @param {any} job @param {any} body */
  #ask(job, body) {
    const { method, path } = job.head;
    const whole = body instanceof Uint8Array;
    const headers = requestHeaders(job);
    if (whole && (body.length > 0 || !['GET', 'HEAD', 'DELETE', 'OPTIONS'].includes(method)))
      headers.push('content-length', String(body.length));
    if (!whole) headers.push('transfer-encoding', 'chunked');
    const asked = request({
      host,
      port: this.#port,
      method,
      path,
      headers,
      agent: this.#agent,
      maxHeaderSize: maxHeaderBytes,
      insecureHTTPParser: false,
    });
    /** @type {unknown} */
    let failure;
    const response = new Promise((resolve, reject) => {
      asked.on('response', resolve);
      asked.on('error', (error) => {
        failure ??= error;
        reject(error);
      });
      asked.on('upgrade', (_response, socket) => {
        socket.destroy();
        reject(Object.assign(new Error('The server changed the protocol, which nobody asked for.'), { code: 'HPE_UPGRADE' }));
      });
    });
    if (whole) asked.end(body);
    else void upload(body, asked);
    return { request: asked, response, error: () => failure };
  }
}

/** Sends a body that arrives in pieces as fast as the server takes it. @param {any} body @param {import('node:http').ClientRequest} to */
async function upload(body, to) {
  try {
    for (let piece = await body.take(); piece; piece = await body.take()) {
      if (!to.write(piece)) await new Promise((resolve) => void to.once('drain', resolve).once('close', resolve));
      if (to.destroyed) return;
    }
    to.end();
  } catch {
    to.destroy();
  }
}

/** @param {any} job @param {import('node:http').IncomingMessage} response */
async function answer(job, response) {
  const headers = JSON.stringify(pairs(response.rawHeaders));
  const status = response.statusCode ?? 0;
  const length = Number(response.headers['content-length'] ?? Number.NaN);
  if (length <= inlineBytes || job.head.method === 'HEAD' || status === 204 || status === 304) {
    return job.answer(status, headers, await whole(response));
  }
  const pieces = response[Symbol.asyncIterator]();
  job.reader.read = () => pieces.next();
  const first = await pieces.next();
  if (first.done) return job.answer(status, headers, undefined);
  await job.stream(status, headers, first.value, pieces.next());
}

/** @param {import('node:http').IncomingMessage} response no longer than its content-length says: the parser sees to it */
async function whole(response) {
  const pieces = [];
  for await (const piece of response) pieces.push(piece);
  return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
}

/** The caller's headers, and whose job it is. @param {any} job @returns {string[]} */
function requestHeaders({ head, deadline }) {
  const { context, headers } = head;
  const sent = [];
  let named = false;
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (hopByHop.has(lower) || lower.startsWith('x-orb-') || (lower === 'host' && named)) continue;
    named ||= lower === 'host';
    sent.push(name, value);
  }
  if (!named) sent.push('host', 'function.invalid');
  const own = {
    call: context.call,
    job: context.job,
    attempt: context.attempt,
    function: context.function,
    version: context.version,
    deadline,
    ...(context.caller && { caller: context.caller.function ?? context.caller.name }),
  };
  for (const [name, value] of Object.entries(own)) sent.push(`x-orb-${name}`, String(value));
  return sent;
}

/** @param {string[]} raw @returns {[string, string][]} */
function pairs(raw) {
  const all = [];
  for (let i = 0; i < raw.length; i += 2)
    if (!hopByHop.has(raw[i].toLowerCase())) all.push(/** @type {[string, string]} */ ([raw[i], raw[i + 1]]));
  return all;
}

/** @param {Error & { code?: string }} error @returns {[string, number]} words, and whether what came was no HTTP */
function explain({ code = '', message }) {
  if (code.startsWith('HPE_')) return [`The server answered with what is no HTTP: ${message}`, badResponse];
  if (code === 'ECONNRESET') return ['The server closed the connection before its answer was complete.', 0];
  return [`The server could not be asked: ${message}`, 0];
}
