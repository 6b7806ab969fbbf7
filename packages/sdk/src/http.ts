import {
  OrbError,
  errorFromBody,
  isOrbError,
  parseWith,
  readJobEnd,
  signRequest,
  type ChainId,
  type JobEnd,
  type Signer,
} from '@orb/protocol';
import type { z } from 'zod';
import { readRetryAfter } from './calls/answer-headers.ts';
import { readBytes, readJson, readLines } from './read-bounded.ts';

export interface HttpOptions {
  /**
   * Address of a super node's gateway, such as `http://127.0.0.1:7080`; or of several, in order of preference: when one
   * does not answer, the next one is asked, and stays the one until it fails.
   */
  readonly url: string | readonly string[];
  /** How long an API answer may take, milliseconds. Calls of functions have no limit but their own. @default 30000 */
  readonly timeoutMs?: number;
  /** Another `fetch`, for example one with its own proxy. @default globalThis.fetch */
  readonly fetch?: typeof fetch;
}

/** One request to the API. */
export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Sent as JSON, or as it is when it is bytes. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signWith?: { readonly signer: Signer; readonly chain: ChainId };
  readonly signal?: AbortSignal | undefined;
  /** The most bytes of the answer, or of one line of it. @default 4 MiB */
  readonly limit?: number;
  /** Until the whole answer is read; Infinity for one that has no end. @default the client's own */
  readonly timeoutMs?: number;
}

const answerBytes = 4 * 1024 * 1024;
/** Errors have at most a few thousand characters of words. */
export const errorBytes = 64 * 1024;

/** An answer, and the gateway that gave it. */
export interface Answered {
  readonly response: Response;
  readonly base: string;
}

/** A request as it goes to one gateway: what it signs may name that. */
export type RequestFor = (base: string) => RequestInit;

/** Requests to the gateways of one network: bounded answers, errors as OrbError, optional signatures, changing over. */
export class Http {
  readonly #bases: readonly string[];
  #current = 0;
  readonly #timeoutMs: number;
  readonly #fetch: typeof fetch;

  /** @throws OrbError `invalid-request` when the address is not an http or https URL */
  constructor({ url, timeoutMs = 30_000, fetch: given }: HttpOptions) {
    const urls = typeof url === 'string' ? [url] : url;
    if (urls.length === 0) throw new OrbError('invalid-request', { message: 'No address of a super node is given.' });
    this.#bases = [...new Set(urls.map(gatewayBase))];
    this.#timeoutMs = timeoutMs;
    // Browsers refuse to run fetch on another receiver than the window.
    this.#fetch = given ?? ((...args) => globalThis.fetch(...args));
  }

  /** The gateway that is asked first now. */
  get base(): string {
    return this.#bases[this.#current]!;
  }

  /** Every gateway, in order of preference. */
  get bases(): readonly string[] {
    return this.#bases;
  }

  /** An answer of one gateway and no other. @throws as {@link json} */
  async jsonAt<T>(base: string, path: string, schema: z.ZodType<T>, signal?: AbortSignal): Promise<T> {
    try {
      return checkAnswer(schema, await readJson(await this.#api(base, path, { signal }), answerBytes), path);
    } catch (error) {
      throw this.#asError(error, base, signal);
    }
  }

  /** @throws OrbError the server's own, `link-closed`, `cancelled`, `too-large`, `protocol-violation` */
  async json<T>(path: string, schema: z.ZodType<T>, request: ApiRequest = {}): Promise<T> {
    return this.#changeOver(
      async (base) => {
        const response = await this.#api(base, path, request);
        return checkAnswer(schema, await readJson(response, request.limit ?? answerBytes), path);
      },
      // Every request of the API may be made twice: reads, uploads by hash, transactions by id.
      { signal: request.signal, mayRepeat: true },
    );
  }

  /** The bytes of an answer. @throws as {@link json} */
  async bytes(path: string, request: ApiRequest = {}): Promise<Uint8Array> {
    return this.#changeOver(async (base) => readBytes(await this.#api(base, path, request), request.limit ?? answerBytes), {
      signal: request.signal,
      mayRepeat: true,
    });
  }

  /** The lines of an NDJSON answer as they arrive. @throws as {@link json} */
  async *lines<T>(path: string, schema: z.ZodType<T>, request: ApiRequest = {}): AsyncGenerator<T, void, undefined> {
    const { signal } = request;
    const response = await this.#changeOver((base) => this.#api(base, path, request), { signal, mayRepeat: true });
    try {
      for await (const line of readLines(response, request.limit ?? answerBytes)) yield checkAnswer(schema, line, path);
    } catch (error) {
      throw this.#asError(error, this.base, signal);
    }
  }

  /**
   * One request as it is: the body unread, no check of the status but this: with several gateways, one that says that it
   * has not begun is no answer, the next one is asked.
   * @param options.mayRepeat false for what must not run twice: then only what never reached a gateway goes to the next
   * @throws OrbError `link-closed`, `cancelled`
   */
  async raw(
    path: string,
    request: RequestFor,
    options: { readonly mayRepeat: boolean; readonly signal?: AbortSignal | undefined },
  ): Promise<Answered> {
    return this.#changeOver(async (base, isLast) => {
      const response = await this.#fetch(`${base}${path}`, request(base));
      if (!isLast && response.status === 503 && !response.headers.has('orb-call')) await this.#refuseUnstarted(response, options.mayRepeat);
      return { response, base };
    }, options);
  }

  /** @throws OrbError the gateway's refusal, where the call has certainly not begun or may begin twice */
  async #refuseUnstarted(response: Response, mayRepeat: boolean): Promise<void> {
    const error = await this.errorOf(response.clone());
    if (unstarted.has(error.code) || mayRepeat) {
      await response.body?.cancel();
      throw error;
    }
  }

  /** Asks one gateway after the other, from the one that answered last. The first error is told when all have failed. */
  async #changeOver<T>(
    ask: (base: string, isLast: boolean) => Promise<T>,
    { signal, mayRepeat }: { readonly signal?: AbortSignal | undefined; readonly mayRepeat: boolean },
  ): Promise<T> {
    const from = this.#current;
    let first: OrbError | undefined;
    for (let i = 0; ; i++) {
      const at = (from + i) % this.#bases.length;
      const base = this.#bases[at]!;
      const isLast = i === this.#bases.length - 1;
      try {
        const answer = await ask(base, isLast);
        this.#current = at;
        return answer;
      } catch (cause) {
        const error = this.#asError(cause, base, signal);
        first ??= error;
        // Also where this request may not be repeated: the next one need not find out again.
        if (error.code === 'link-closed') this.#current = (at + 1) % this.#bases.length;
        const gone = error.code === 'link-closed' && (mayRepeat || neverSent(error));
        const elsewhere = gone || unstarted.has(error.code) || (mayRepeat && error.status === 503);
        if (isLast || !elsewhere) throw isLast && gone ? first : error;
      }
    }
  }

  /**
   * How a job has ended whose answer this gateway has passed on.
   * @throws OrbError `wrong-receipt` when it does not know, or says something that is none; `link-closed`
   */
  async jobEnd(base: string, job: string): Promise<JobEnd> {
    try {
      return readJobEnd(await readJson(await this.#api(base, `/v1/jobs/${job}/end`, {}), answerBytes));
    } catch (cause) {
      const error = this.#asError(cause, base);
      if (error.code === 'link-closed') throw error;
      throw new OrbError('wrong-receipt', { message: 'The super node shows no receipt for what it sent.', cause: error });
    }
  }

  /** The error that an answer holds; its body is read and bounded. */
  async errorOf(response: Response): Promise<OrbError> {
    const text = new TextDecoder().decode(await readBytes(response, errorBytes).catch(() => new Uint8Array()));
    const body = errorBody(text);
    const retryAfterMs = readRetryAfter(response.headers.get('retry-after'), Date.now());
    if (body) return errorFromBody({ ...(retryAfterMs !== undefined && { retryAfterMs }), ...body });
    return new OrbError(response.status >= 500 ? 'internal' : 'invalid-request', {
      message: `${this.base} answered ${response.status}, and not as an Orb super node does.`,
      hint: 'Check the address of the super node.',
    });
  }

  async #api(base: string, path: string, request: ApiRequest): Promise<Response> {
    const { method = 'GET', body, signWith } = request;
    const url = `${base}${path}`;
    const bytes =
      body === undefined ? new Uint8Array() : body instanceof Uint8Array ? body : new TextEncoder().encode(JSON.stringify(body));
    const headers = new Headers({ ...request.headers, accept: 'application/json' });
    if (body !== undefined) headers.set('content-type', body instanceof Uint8Array ? 'application/octet-stream' : 'application/json');
    if (signWith) {
      const signed = signRequest({ method, url, body: bytes }, signWith.chain, signWith.signer, Date.now());
      for (const [name, value] of Object.entries(signed)) headers.set(name, value as string);
    }
    const timeoutMs = request.timeoutMs ?? this.#timeoutMs;
    const signals = [request.signal, timeoutMs === Infinity ? undefined : AbortSignal.timeout(timeoutMs)].filter(
      (one) => one !== undefined,
    );
    const response = await this.#fetch(url, {
      method,
      headers,
      // A redirect could carry a signed request to a host that its signer never chose.
      redirect: 'error',
      signal: AbortSignal.any(signals),
      ...(method !== 'GET' && { body: bytes as Uint8Array<ArrayBuffer> }),
    });
    if (!response.ok) throw await this.errorOf(response);
    return response;
  }

  #asError(error: unknown, base: string, signal?: AbortSignal): OrbError {
    if (isOrbError(error)) return error;
    const { name } = error as Error;
    if (name === 'TimeoutError') {
      return new OrbError('link-closed', {
        message: `${base} did not answer in time.`,
        hint: 'Try again; orb status shows whether it lives.',
      });
    }
    if (name === 'AbortError' || signal?.aborted) return new OrbError('cancelled', { cause: error });
    return new OrbError('link-closed', {
      message: `No super node answers at ${base}.`,
      hint: 'Start one (npm start), or name another with --gateway URL or ORB_GATEWAY.',
      cause: error,
    });
  }
}

/** What a gateway says before a call has begun. */
const unstarted: ReadonlySet<string> = new Set(['shutting-down', 'no-node-fits', 'overloaded']);

/** System errors of a connection that never was (Node and undici): nothing can have been received. */
const neverSentCodes: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** True when the request certainly reached nobody. Browsers do not tell, so there it never is. */
function neverSent({ cause }: OrbError): boolean {
  return neverSentCodes.has((cause as { cause?: { code?: unknown } } | undefined)?.cause?.code);
}

function gatewayBase(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.username || parsed.password) {
    throw new OrbError('invalid-request', {
      message: `${JSON.stringify(url.slice(0, 200))} is not the address of a super node.`,
      hint: 'It looks like http://127.0.0.1:7080 or https://orb.example.com.',
    });
  }
  return `${parsed.origin}${parsed.pathname.replace(/\/+$/, '')}`;
}

function errorBody(text: string): object | undefined {
  try {
    const value = JSON.parse(text) as { error?: { code?: unknown } };
    return typeof value?.error === 'object' && value.error !== null && typeof value.error.code === 'string' ? value.error : undefined;
  } catch {
    return undefined;
  }
}

function checkAnswer<T>(schema: z.ZodType<T>, value: unknown, path: string): T {
  return parseWith(schema, value, `answer to ${path.split('?')[0]}`, 'protocol-violation');
}
