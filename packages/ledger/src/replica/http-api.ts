import { errorFromBody, isOrbError, OrbError } from '@orb/protocol';
import { jsonLines } from './json-lines.ts';

export interface HttpApiOptions {
  /** Address of a super node's gateway, such as `https://super.example:7080`. */
  readonly url: string;
  /** How long an answer, or the next sign of life of a stream, may take, milliseconds. @default 30000 */
  readonly timeoutMs?: number;
  /** @default globalThis.fetch */
  readonly fetch?: typeof fetch;
}

/** A block holds 8 MiB of transactions at most; the rest is room. */
const lineBytes = 32 * 1024 * 1024;
const answerBytes = 1024 * 1024;

/** Requests to a super node's API whose answers are bounded in size and time; failures of the network are a retryable `ledger-unavailable`. */
export class HttpApi {
  readonly base: string;
  readonly #timeoutMs: number;
  readonly #fetch: typeof fetch;

  constructor({ url, timeoutMs = 30_000, fetch: given }: HttpApiOptions) {
    this.base = url.replace(/\/+$/, '');
    this.#timeoutMs = timeoutMs;
    this.#fetch = given ?? ((...args) => globalThis.fetch(...args));
  }

  /** @param body sent as JSON, by POST */
  json(path: string, signal: AbortSignal, body?: unknown): Promise<unknown> {
    return this.#reaching(async () => {
      const within = AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs)]);
      const headers = { 'content-type': 'application/json' };
      const init = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) };
      return JSON.parse(await boundedText(await this.#request(path, within, init))) as unknown;
    });
  }

  /** The values of an NDJSON answer, for as long as it shows signs of life. */
  async *lines(path: string, signal: AbortSignal): AsyncGenerator<unknown, void, undefined> {
    const ending = new AbortController();
    const within = AbortSignal.any([signal, ending.signal]);
    let timer: NodeJS.Timeout | undefined;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => ending.abort(), this.#timeoutMs);
    };
    alive();
    try {
      const response = await this.#reaching(() => this.#request(path, within));
      const lines = jsonLines(response, { lineBytes, alive });
      for (;;) {
        const { done, value } = await this.#reaching(() => lines.next());
        if (done) return;
        // While the reader works, nobody waits for the network.
        clearTimeout(timer);
        yield value;
        alive();
      }
    } finally {
      clearTimeout(timer);
      ending.abort();
    }
  }

  async #request(path: string, signal: AbortSignal, init: RequestInit = {}): Promise<Response> {
    const response = await this.#fetch(`${this.base}${path}`, { redirect: 'error', ...init, signal });
    if (!response.ok) throw await this.#errorOf(response);
    return response;
  }

  async #reaching<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (isOrbError(cause)) throw cause;
      const message = `The ledger at ${this.base} cannot be reached: ${cause instanceof Error ? cause.message : String(cause)}.`;
      throw new OrbError('ledger-unavailable', { message, cause });
    }
  }

  async #errorOf(response: Response): Promise<OrbError> {
    try {
      const { error } = JSON.parse(await boundedText(response)) as { error?: { code?: unknown } };
      if (typeof error?.code === 'string') return errorFromBody(error);
    } catch {
      // Not one of ours.
    }
    return new OrbError('ledger-unavailable', { message: `${this.base} answered ${response.status}, and not as a super node does.` });
  }
}

async function boundedText(response: Response): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const part of response.body ?? []) {
    text += decoder.decode(part as Uint8Array, { stream: true });
    if (text.length > answerBytes) throw new OrbError('too-large', { message: `The answer is larger than ${answerBytes} bytes.` });
  }
  return text;
}
