import { asOrbError, OrbError, readCallerAnswer, readJobEnd, type CallerAnswer, type CallerRequest, type JobEnd } from '@orb/protocol';
import type { Link, LinkAnswer } from '@orb/link';
import type { CallInfo } from '../call.ts';
import { timesOf } from './answer-headers.ts';
import type { CallAnswer, CallTransport, OutgoingCall } from './call-port.ts';
import type { CallerLink } from './caller-link.ts';

/** Calls over a link: many at once over one connection, those of one turn of the event loop in one write. */
export class LinkCalls implements CallTransport {
  readonly #link: CallerLink;
  readonly #superNodes: number;

  /** @param superNodes how many there are to change over between */
  constructor(link: CallerLink, superNodes: number) {
    this.#link = link;
    this.#superNodes = superNodes;
  }

  async send(call: OutgoingCall): Promise<CallAnswer> {
    for (let tried = 1; ; tried++) {
      const link = this.#link.current ?? (await this.#link.connect(call.signal));
      try {
        return await sendOver(link, call);
      } catch (cause) {
        const error = asOrbError(cause);
        if (error.code === 'shutting-down') this.#link.leave(link);
        if (tried > this.#superNodes || !mayGoElsewhere(error, call)) throw error;
      }
    }
  }

  close(): Promise<void> {
    return this.#link.close();
  }
}

/** What was sent over a link that was lost may have run. */
function mayGoElsewhere({ code, details }: OrbError, { mayRepeat, body }: OutgoingCall): boolean {
  if (body !== undefined && !(body instanceof Uint8Array)) return false;
  return code === 'shutting-down' || (code === 'link-closed' && (mayRepeat || details?.['sent'] === false));
}

async function sendOver(link: Link, call: OutgoingCall): Promise<LinkCallAnswer> {
  // Between here and the call nothing else can run: what is refused for this reason was never sent.
  if (!link.isOpen) throw new OrbError('link-closed', { details: { sent: false } });
  const started = performance.now();
  const answer = await link.call('call', requestOf(call), call.body, call.signal && { signal: call.signal });
  return new LinkCallAnswer(answer, performance.now() - started);
}

function requestOf({ owner, name, mode, method, path, headers, body }: OutgoingCall): CallerRequest {
  return {
    fn: `${owner}/${name}`,
    mode,
    ...(method !== 'POST' && { method }),
    ...(path !== '/' && { path }),
    ...(headers.length > 0 && { headers }),
    ...(body !== undefined && { bytes: body instanceof Uint8Array ? body.byteLength : null }),
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
  constructor(answer: LinkAnswer, roundTripMs: number) {
    const head = readCallerAnswer(answer.header);
    const { call, job, node, attempt, end } = head;
    this.#answer = answer;
    this.#head = head;
    this.status = head.status;
    this.info = { call, job, node, attempt, times: end ? timesOf(end) : {}, roundTripMs, receipt: undefined };
  }

  header(name: string): string | undefined {
    return this.#head.headers.find(([header]) => header === name)?.[1];
  }

  headers(): Headers {
    return new Headers(this.#head.headers as [string, string][]);
  }

  async bytes(limit: number): Promise<Uint8Array> {
    const { body } = this.#answer;
    const { complete } = body;
    return complete !== undefined && complete.byteLength <= limit ? complete : body.bytes(limit);
  }

  async *pieces(): AsyncGenerator<Uint8Array, void, undefined> {
    let ended = false;
    try {
      yield* this.#answer.body;
      ended = true;
    } finally {
      if (!ended) this.#answer.cancel();
    }
  }

  async end(): Promise<JobEnd> {
    return this.#head.end ?? readJobEnd(await this.#answer.trailer);
  }
}
