import {
  asOrbError,
  OrbError,
  readCallerAnswer,
  readJobEnd,
  signRequest,
  type CallerAnswer,
  type CallerRequest,
  type CallerSignature,
  type JobEnd,
  type Signer,
} from '@orb/protocol';
import type { Link, LinkAnswer } from '@orb/link';
import type { CallInfo } from '../call.ts';
import { SendTime, timesOf } from './answer-headers.ts';
import type { CallAnswer, CallTransport, OutgoingCall } from './call-port.ts';
import type { CallerLink, Reached } from './caller-link.ts';

export interface LinkCallsOptions {
  /** How many there are to change over between. */
  readonly superNodes: number;
  /** The account's, where the calls are an account's. */
  readonly signer: Signer | undefined;
}

/** Private functions that are remembered as having no node at the super node that the link goes to. */
const maxSigned = 1_000;

/** Calls over a link: many at once over one connection, those of one turn of the event loop in one write. */
export class LinkCalls implements CallTransport {
  readonly #options: LinkCallsOptions;
  readonly #link: CallerLink;
  /** `OWNER/NAME` of what must run at another super node, which believes nothing but the caller's own signature. */
  readonly #signedFor = new Set<string>();

  constructor(options: LinkCallsOptions, dependencies: { readonly link: CallerLink }) {
    this.#options = options;
    this.#link = dependencies.link;
  }

  async send(call: OutgoingCall): Promise<CallAnswer> {
    for (let tried = 0; ; tried++) {
      const there = this.#link.current ?? (await this.#link.connect(call.signal));
      try {
        const started = new SendTime();
        return new LinkCallAnswer(await callOver(there.link, call, this.#signature(call, there)), started);
      } catch (cause) {
        const error = asOrbError(cause);
        if (tried > this.#options.superNodes || !this.#mayGoOn(error, call, there)) throw error;
      }
    }
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  /** Whether another try is safe and could end otherwise; prepares it. */
  #mayGoOn({ code, details }: OrbError, call: OutgoingCall, { link }: Reached): boolean {
    if (code === 'shutting-down') this.#link.leave(link);
    if (call.body !== undefined && !(call.body instanceof Uint8Array)) return false;
    if (code === 'no-node-fits') return this.#signNext(call);
    return code === 'shutting-down' || (code === 'link-closed' && (call.mayRepeat || details?.['sent'] === false));
  }

  /** @returns false when it was signed already */
  #signNext({ owner, name }: OutgoingCall): boolean {
    const path = `${owner}/${name}`;
    if (!this.#options.signer || this.#signedFor.delete(path)) return false;
    if (this.#signedFor.size >= maxSigned) this.#signedFor.clear();
    this.#signedFor.add(path);
    return true;
  }

  #signature({ owner, name, method, path, body }: OutgoingCall, { gateway, chain }: Reached): CallerSignature | undefined {
    if (this.#signedFor.size === 0 || !this.#signedFor.has(`${owner}/${name}`)) return undefined;
    const target = `/fn/${owner}/${name}${path === '/' ? '' : path}`;
    const request = { method, url: `${gateway}${target}`, body: (body as Uint8Array | undefined) ?? new Uint8Array() };
    return { target, ...signRequest(request, chain, this.#options.signer!, Date.now()) };
  }
}

function callOver(link: Link, call: OutgoingCall, signed: CallerSignature | undefined): Promise<LinkAnswer> {
  // Between here and the call nothing else can run: what is refused for this reason was never sent.
  if (!link.isOpen) throw new OrbError('link-closed', { details: { sent: false } });
  return link.call('call', requestOf(call, signed), call.body, call.signal && { signal: call.signal });
}

function requestOf({ owner, name, mode, method, path, headers, body }: OutgoingCall, signed: CallerSignature | undefined): CallerRequest {
  return {
    fn: `${owner}/${name}`,
    mode,
    ...(method !== 'POST' && { method }),
    ...(path !== '/' && { path }),
    ...(headers.length > 0 && { headers }),
    ...(body !== undefined && { bytes: body instanceof Uint8Array ? body.byteLength : null }),
    ...(signed && { signed }),
  };
}

class LinkCallAnswer implements CallAnswer {
  readonly status: number;
  readonly info: CallInfo;
  /** Nothing on a link's way unpacks. */
  readonly unpacked = false;
  readonly #answer: LinkAnswer;
  readonly #head: CallerAnswer;

  /** @throws OrbError `protocol-violation` */
  constructor(answer: LinkAnswer, started: SendTime) {
    const head = readCallerAnswer(answer.header);
    const { call, job, node, attempt, end } = head;
    this.#answer = answer;
    this.#head = head;
    this.status = head.status;
    this.info = { call, job, node, attempt, times: end ? timesOf(end) : {}, ...started.told(), receipt: undefined };
  }

  header(name: string): string | undefined {
    return this.#head.headers.find(([header]) => header === name)?.[1];
  }

  headers(): Headers {
    return new Headers(this.#head.headers as [string, string][]);
  }

  bytes(limit: number): Uint8Array | Promise<Uint8Array> {
    const { body } = this.#answer;
    const { complete } = body;
    return complete !== undefined && complete.byteLength <= limit ? plain(complete) : body.bytes(limit).then(plain);
  }

  async *pieces(): AsyncGenerator<Uint8Array, void, undefined> {
    let ended = false;
    try {
      for await (const piece of this.#answer.body) yield plain(piece);
      ended = true;
    } finally {
      if (!ended) this.#answer.cancel();
    }
  }

  end(): JobEnd | Promise<JobEnd> {
    return this.#head.end ?? this.#answer.trailer.then(readJobEnd);
  }
}

/** Links give Node's Buffers, whose `slice` and `toString` are not those of a Uint8Array. */
function plain({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
