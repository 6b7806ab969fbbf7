import { Readable } from 'node:stream';
import { isOrbError, limits, mayReach, OrbError, type Manifest, type NetworkPolicy } from '@orb/protocol';
import type { WebRequest, WebResponse } from '@orb/sandbox';
import type { Dispatcher } from 'undici';
import type { TokenBucket } from './token-bucket.ts';
import { headBytes, outgoingOf, portOf, receivedHeaders, redirected, type Outgoing } from './web-message.ts';

/** What all jobs of one function on this node share. */
export interface FunctionWeb {
  readonly dispatcher: Dispatcher;
  readonly requests: TokenBucket;
  readonly bytes: TokenBucket;
}

export interface JobWebOptions {
  /** `OWNER/NAME`, for whoever is asked to see. */
  readonly name: string;
  readonly manifest: Pick<Manifest, 'network'>;
}

export interface JobWebDependencies {
  readonly web: FunctionWeb;
  /** What the node's owner allows at this moment. */
  readonly policy: () => NetworkPolicy | undefined;
}

type Answer = Dispatcher.ResponseData;

/** The requests of one job to the network: whether they may be made, how, and how many bytes went. */
export class JobWeb {
  readonly #options: JobWebOptions;
  readonly #dependencies: JobWebDependencies;
  #bytesOut = 0;
  #bytesIn = 0;
  #used = false;

  constructor(options: JobWebOptions, dependencies: JobWebDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /** Bytes of heads and bodies so far; undefined where nothing was asked. */
  get usage(): { readonly bytesOut: number; readonly bytesIn: number } | undefined {
    return this.#used ? { bytesOut: this.#bytesOut, bytesIn: this.#bytesIn } : undefined;
  }

  /** Makes a request, and those that it leads to. @throws OrbError `forbidden`, `invalid-request`, `fetch-failed`, `cancelled` */
  async fetch(request: WebRequest): Promise<WebResponse> {
    let sent = outgoingOf(request, `Orb (${this.#options.name})`);
    for (let hops = 0; ; hops++) {
      const answer = await this.#ask(sent, request, hops);
      const next = this.#next(sent, answer, request.redirect, hops);
      if (!next) return this.#responseOf(answer, sent.url, hops > 0, request.signal);
      await answer.body.dump({ limit: 16_384, signal: request.signal }).catch(() => answer.body.destroy());
      sent = next;
    }
  }

  async #ask(sent: Outgoing, { signal, length }: WebRequest, hops: number): Promise<Answer> {
    const { web, policy } = this.#dependencies;
    const { url, method, headers, body } = sent;
    if (!mayReach(this.#options.manifest, policy(), url.hostname, portOf(url))) throw notAllowed(url);
    this.#used = true;
    await web.requests.take(1, signal);
    await this.#sending(headBytes(Object.entries(headers), method + url.href), signal);
    const streamed = body === undefined || body instanceof Uint8Array ? undefined : body;
    const whole = body instanceof Uint8Array ? body : null;
    if (whole) await this.#sending(whole.length, signal);
    try {
      return await web.dispatcher.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: method as Dispatcher.HttpMethod,
        headers: streamed && length !== undefined && hops === 0 ? { ...headers, 'content-length': String(length) } : headers,
        body: streamed ? Readable.from(this.#metered(streamed, signal), { objectMode: false }) : whole,
        signal,
      });
    } catch (cause) {
      throw failureOf(url, cause, signal);
    }
  }

  #next(sent: Outgoing, { statusCode, headers }: Answer, mode: WebRequest['redirect'], hops: number): Outgoing | undefined {
    if (mode === 'manual') return undefined;
    const location = Array.isArray(headers['location']) ? headers['location'][0] : headers['location'];
    const next = redirected(sent, statusCode, location);
    if (next && mode === 'error')
      throw new OrbError('fetch-failed', { message: `${sent.url.host} leads elsewhere, which was not wanted.` });
    if (next && hops >= limits.fetchRedirects)
      throw new OrbError('fetch-failed', { message: `The request was led elsewhere more than ${limits.fetchRedirects} times.` });
    return next;
  }

  #responseOf({ statusCode, statusText, headers, body }: Answer, url: URL, wasRedirected: boolean, signal: AbortSignal): WebResponse {
    const received = receivedHeaders(headers);
    this.#bytesIn += headBytes(received, statusText);
    if (statusCode < 200 || statusCode > 599) {
      body.destroy();
      throw new OrbError('fetch-failed', { message: `${url.host} answered with the status ${statusCode}.` });
    }
    return {
      url: url.href,
      redirected: wasRedirected,
      status: statusCode,
      statusText: /^[\t\x20-\x7e]{0,256}$/.test(statusText) ? statusText : '',
      headers: received,
      body: this.#receiving(body, url, signal),
    };
  }

  async *#receiving(body: AsyncIterable<Uint8Array>, url: URL, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    try {
      for await (const piece of body) {
        this.#bytesIn += piece.length;
        this.#checkBytes();
        await this.#dependencies.web.bytes.take(piece.length, signal);
        yield piece;
      }
    } catch (cause) {
      throw failureOf(url, cause, signal);
    }
  }

  async *#metered(body: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      await this.#sending(piece.length, signal);
      yield piece;
    }
  }

  async #sending(bytes: number, signal: AbortSignal): Promise<void> {
    this.#bytesOut += bytes;
    this.#checkBytes();
    await this.#dependencies.web.bytes.take(bytes, signal);
  }

  #checkBytes(): void {
    if (this.#bytesIn + this.#bytesOut <= limits.fetchBytesPerJob) return;
    throw new OrbError('fetch-failed', { message: `One job may send and receive ${limits.fetchBytesPerJob} bytes.` });
  }
}

function notAllowed(url: URL): OrbError {
  return new OrbError('forbidden', {
    message: `This function may not reach ${url.hostname}:${portOf(url)}: its manifest does not ask for it, or this node does not allow it.`,
  });
}

/** Words for the function, without anything of this computer's own network. */
function failureOf({ host }: URL, cause: unknown, signal: AbortSignal): OrbError {
  if (signal.aborted) return new OrbError('cancelled', { cause });
  if (isOrbError(cause)) return cause;
  const { code = '', message } = cause as NodeJS.ErrnoException;
  const certificate = /CERT|SELF_SIGNED|TLS|SSL/.test(code);
  const why =
    reasons[code] ?? (certificate ? `its certificate is not valid (${code})` : /^[A-Z_]{3,40}$/.test(code) ? code : message.slice(0, 100));
  return new OrbError('fetch-failed', { message: `${host} could not be asked: ${why}.`, cause });
}

const reasons: Readonly<Record<string, string>> = {
  ENOTFOUND: 'there is no such name',
  ENODATA: 'the name has no address',
  ESERVFAIL: 'its name cannot be looked up now',
  ETIMEOUT: 'its name cannot be looked up now',
  ECONNREFUSED: 'it refused the connection',
  ECONNRESET: 'it closed the connection',
  EHOSTUNREACH: 'it cannot be reached',
  ENETUNREACH: 'it cannot be reached',
  ETIMEDOUT: 'it does not answer',
  UND_ERR_CONNECT_TIMEOUT: 'it does not answer',
  UND_ERR_HEADERS_TIMEOUT: 'it does not answer',
  UND_ERR_BODY_TIMEOUT: 'it stopped in the middle of its answer',
  UND_ERR_SOCKET: 'it closed the connection',
  UND_ERR_HEADERS_OVERFLOW: 'its headers are too large',
};
