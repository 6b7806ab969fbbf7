import { errorFromBody, type OrbError, signRequest, type ChainId, type JobEnd, type ReceiptCover, type Signer } from '@orb/protocol';
import type { CallInfo } from '../call.ts';
import { errorBytes, type Answered, type Http, type RequestFor } from '../http.ts';
import { piecesOf, readBytes } from '../read-bounded.ts';
import { readCallInfo, readReceiptHeader, SendTime } from './answer-headers.ts';
import type { CallAnswer, CallTransport, OutgoingCall } from './call-port.ts';
import { BodyToSend } from './body-to-send.ts';

export interface HttpCallsDependencies {
  readonly http: Http;
  readonly chain: () => Promise<ChainId>;
  /** Signs calls of private functions. */
  readonly signer: Signer | undefined;
}

/** Calls over HTTP: one request each. */
export class HttpCalls implements CallTransport {
  readonly #deps: HttpCallsDependencies;

  constructor(dependencies: HttpCallsDependencies) {
    this.#deps = dependencies;
  }

  async send(call: OutgoingCall): Promise<CallAnswer> {
    const started = new SendTime();
    const unsigned = await this.#request(call, false);
    if (unsigned.response.status !== 401 || !this.#deps.signer || isStream(call.body)) return this.#answer(unsigned, started);
    // Only private functions ask who calls: a public one never learns it.
    await unsigned.response.body?.cancel();
    return this.#answer(await this.#request(call, true), started);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #request(call: OutgoingCall, signed: boolean): Promise<Answered> {
    const { http, chain, signer } = this.#deps;
    const signWith = signed && signer ? { signer, chain: await chain() } : undefined;
    const { owner, name, path, body, signal } = call;
    const target = `/fn/${owner}/${name}${path === '/' ? '' : path}`;
    // A stream is gone once it has been read: no other gateway can get it.
    const mayRepeat = call.mayRepeat && !isStream(body);
    return http.raw(target, requestFor(call, target, signWith), { mayRepeat, signal });
  }

  /** @throws OrbError what the super node says of a call that has no answer of its function */
  async #answer({ response, base }: Answered, started: SendTime): Promise<CallAnswer> {
    const info = readCallInfo(response.headers, started.told());
    if (await isRefusal(response)) throw ofJob(await this.#deps.http.errorOf(response), info);
    return new HttpAnswer(response, info, () => this.#deps.http.jobEnd(base, info.job ?? ''));
  }
}

/** The super node's own word marks its errors; an older one is known by what it leaves out, or by an error's form. */
async function isRefusal(response: Response): Promise<boolean> {
  if (response.ok) return false;
  if (response.headers.has('orb-error') || !response.headers.has('orb-call')) return true;
  if (response.status < 500 || response.headers.has('orb-receipt')) return false;
  const start = await readBytes(response.clone(), errorBytes).catch(() => new Uint8Array());
  return /^\{"error":\{"code":"[a-z-]{1,40}"/.test(new TextDecoder().decode(start));
}

function ofJob(error: OrbError, { call, job, node }: CallInfo): OrbError {
  return job === undefined ? error : errorFromBody({ ...error.toJSON(), details: { ...error.details, call, job, node } });
}

class HttpAnswer implements CallAnswer {
  readonly status: number;
  readonly info: CallInfo;
  readonly unpacked: boolean;
  readonly #response: Response;
  readonly #askEnd: () => Promise<JobEnd>;

  constructor(response: Response, info: CallInfo, askEnd: () => Promise<JobEnd>) {
    this.status = response.status;
    this.info = info;
    this.unpacked = response.headers.has('content-encoding');
    this.#response = response;
    this.#askEnd = askEnd;
  }

  header(name: string): string | undefined {
    return this.#response.headers.get(name) ?? undefined;
  }

  headers(): Headers {
    return this.#response.headers;
  }

  bytes(limit: number): Promise<Uint8Array> {
    return readBytes(this.#response, limit);
  }

  pieces(): AsyncIterable<Uint8Array> {
    return piecesOf(this.#response);
  }

  /** Trailers cannot be read by `fetch`: of a stream the super node is asked once more. */
  async end(): Promise<{ readonly receipt: ReceiptCover } | JobEnd | undefined> {
    const told = this.#response.headers.get('orb-receipt');
    if (told === null) return undefined;
    return told === 'at-end' ? this.#askEnd() : { receipt: readReceiptHeader(told) };
  }
}

/** A signature names the gateway that it is for: each gets its own. */
function requestFor(
  { method, mode, headers: given, body, signal }: OutgoingCall,
  target: string,
  signWith: { readonly signer: Signer; readonly chain: ChainId } | undefined,
): RequestFor {
  return (base) => {
    const headers = new Headers(given as [string, string][]);
    if (mode === 'event') headers.set('orb-mode', 'event');
    if (signWith) {
      const { chain, signer } = signWith;
      const signed = signRequest(
        { method, url: `${base}${target}`, body: (body as Uint8Array) ?? new Uint8Array() },
        chain,
        signer,
        Date.now(),
      );
      for (const [name, value] of Object.entries(signed)) headers.set(name, value as string);
    }
    const sent =
      body && (isStream(body) ? { body: new BodyToSend(body), duplex: 'half' as const } : { body: body as Uint8Array<ArrayBuffer> });
    return { method, headers, redirect: 'manual', ...sent, ...(signal && { signal }) };
  };
}

function isStream(body: OutgoingCall['body']): body is AsyncIterable<Uint8Array> {
  return body !== undefined && !(body instanceof Uint8Array);
}
