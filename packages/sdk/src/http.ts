import { OrbError, errorFromBody, isOrbError, parseWith, signRequest, type ChainId, type Signer } from '@orb/protocol';
import type { z } from 'zod';
import { readBytes, readJson, readLines } from './read-bounded.ts';

export interface HttpOptions {
  /** Address of a super node's gateway, such as `http://127.0.0.1:7080`. */
  readonly url: string;
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
  /** @default the client's own */
  readonly timeoutMs?: number;
}

const answerBytes = 4 * 1024 * 1024;
/** Errors have at most a few thousand characters of words. */
const errorBytes = 64 * 1024;

/** Requests to one gateway: bounded answers, errors as OrbError, optional signatures. */
export class Http {
  readonly base: string;
  readonly #timeoutMs: number;
  readonly #fetch: typeof fetch;

  /** @throws OrbError `invalid-request` when the address is not an http or https URL */
  constructor({ url, timeoutMs = 30_000, fetch: given }: HttpOptions) {
    this.base = gatewayBase(url);
    this.#timeoutMs = timeoutMs;
    // Browsers refuse to run fetch on another receiver than the window.
    this.#fetch = given ?? ((...args) => globalThis.fetch(...args));
  }

  /** @throws OrbError the server's own, `link-closed`, `cancelled`, `too-large`, `protocol-violation` */
  async json<T>(path: string, schema: z.ZodType<T>, request: ApiRequest = {}): Promise<T> {
    return this.#translate(async () => {
      const response = await this.#api(path, request);
      return checkAnswer(schema, await readJson(response, request.limit ?? answerBytes), path);
    });
  }

  /** The lines of an NDJSON answer as they arrive. @throws as {@link json} */
  async *lines<T>(path: string, schema: z.ZodType<T>, request: ApiRequest = {}): AsyncGenerator<T, void, undefined> {
    try {
      const response = await this.#api(path, request);
      for await (const line of readLines(response, request.limit ?? answerBytes)) yield checkAnswer(schema, line, path);
    } catch (error) {
      throw this.#asError(error, request.signal);
    }
  }

  /** One request as it is: no check of the status, the body unread. @throws OrbError `link-closed`, `cancelled` */
  async raw(path: string, init: RequestInit): Promise<Response> {
    return this.#translate(() => this.#fetch(`${this.base}${path}`, init), init.signal ?? undefined);
  }

  /** The error that an answer holds; its body is read and bounded. */
  async errorOf(response: Response): Promise<OrbError> {
    const text = new TextDecoder().decode(await readBytes(response, errorBytes).catch(() => new Uint8Array()));
    const body = errorBody(text);
    if (body) return errorFromBody(body);
    return new OrbError(response.status >= 500 ? 'internal' : 'invalid-request', {
      message: `${this.base} answered ${response.status}, and not as an Orb super node does.`,
      hint: 'Check the address of the super node.',
    });
  }

  async #api(path: string, request: ApiRequest): Promise<Response> {
    const { method = 'GET', body, signWith } = request;
    const url = `${this.base}${path}`;
    const bytes =
      body === undefined ? new Uint8Array() : body instanceof Uint8Array ? body : new TextEncoder().encode(JSON.stringify(body));
    const headers = new Headers({ ...request.headers, accept: 'application/json' });
    if (body !== undefined) headers.set('content-type', body instanceof Uint8Array ? 'application/octet-stream' : 'application/json');
    if (signWith) {
      const signed = signRequest({ method, url, body: bytes }, signWith.chain, signWith.signer, Date.now());
      for (const [name, value] of Object.entries(signed)) headers.set(name, value as string);
    }
    const timeout = AbortSignal.timeout(request.timeoutMs ?? this.#timeoutMs);
    const response = await this.#fetch(url, {
      method,
      headers,
      // A redirect could carry a signed request to a host that its signer never chose.
      redirect: 'error',
      signal: request.signal ? AbortSignal.any([request.signal, timeout]) : timeout,
      ...(method !== 'GET' && { body: bytes as Uint8Array<ArrayBuffer> }),
    });
    if (!response.ok) throw await this.errorOf(response);
    return response;
  }

  async #translate<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#asError(error, signal);
    }
  }

  #asError(error: unknown, signal?: AbortSignal): OrbError {
    if (isOrbError(error)) return error;
    const { name } = error as Error;
    if (name === 'TimeoutError') {
      return new OrbError('link-closed', {
        message: `${this.base} did not answer in time.`,
        hint: 'Try again; orb status shows whether it lives.',
      });
    }
    if (name === 'AbortError' || signal?.aborted) return new OrbError('cancelled', { cause: error });
    return new OrbError('link-closed', {
      message: `No super node answers at ${this.base}.`,
      hint: 'Start one (npm start), or name another with --gateway URL or ORB_GATEWAY.',
      cause: error,
    });
  }
}

function gatewayBase(url: string): string {
  const parsed = URL.parse(url);
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
