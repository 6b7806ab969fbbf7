import { timingSafeEqual } from 'node:crypto';
import { callerTokenMac, isHex32, limits, OrbError, type ChainId, type Hex32 } from '@orb/protocol';
import type { IncomingCall, Link, LinkHandler, LinkPeer, OutgoingAnswer } from '@orb/link';
import type { Token } from '../gateway/tokens/token-book.ts';
import { CallerSession } from './caller-session.ts';
import { serveCaller, type ServeCallerDependencies } from './serve-caller.ts';

export interface CallerLinksDependencies extends ServeCallerDependencies {
  readonly chain: ChainId;
  /** The super node's own key. */
  readonly key: Hex32;
}

/** The entrance for callers who keep a link: who may link, as whom they call, and how much at once (decision 190). */
export class CallerLinks implements LinkHandler {
  readonly #deps: CallerLinksDependencies;
  readonly #sessions = new Map<Link, CallerSession>();
  readonly #byHost = new Map<string, number>();

  constructor(dependencies: CallerLinksDependencies) {
    this.#deps = dependencies;
  }

  /** Anybody, while there is room. @throws OrbError `link-refused` */
  authorize({ address }: LinkPeer): void {
    if (this.#sessions.size >= limits.callerLinks)
      throw new OrbError('link-refused', { message: 'This super node has no room for another link of a caller.', hint: 'Call over HTTP.' });
    if ((this.#byHost.get(hostOf(address)) ?? 0) >= limits.callerLinksPerAddress)
      throw new OrbError('link-refused', {
        message: `One address may hold ${limits.callerLinksPerAddress} links of callers.`,
        hint: 'Make many calls over one link: one Orb for each process is enough.',
      });
  }

  opened(link: Link): void {
    const host = hostOf(link.peer.address);
    this.#sessions.set(link, new CallerSession(link, host));
    this.#byHost.set(host, (this.#byHost.get(host) ?? 0) + 1);
    void link.closed.then(() => this.#closed(link, host));
  }

  // Not `async`: a promise around a promise would cost each call three turns of the queue.
  call(call: IncomingCall, link: Link): Promise<OutgoingAnswer> {
    const session = this.#sessions.get(link);
    if (!session) throw new OrbError('link-closed', { message: 'This link is over.' });
    if (call.method === 'call') return serveCaller(call, session, this.#deps);
    if (call.method === 'token') return Promise.resolve({ header: this.#takeToken(call.header, session) });
    throw new OrbError('not-supported', { message: `A super node does not answer ${call.method.slice(0, 32)} to a caller.` });
  }

  /** Callers give no notice of anything. */
  notice(method: string): void {
    throw new OrbError('protocol-violation', { message: `A caller has nothing to say of ${method.slice(0, 32)}.` });
  }

  #closed(link: Link, host: string): void {
    this.#sessions.delete(link);
    const left = this.#byHost.get(host)! - 1;
    if (left === 0) this.#byHost.delete(host);
    else this.#byHost.set(host, left);
  }

  /** @throws OrbError `unauthenticated` unless the caller holds the secret of a good token */
  #takeToken(header: unknown, session: CallerSession): object {
    const { id, mac } = (header ?? {}) as { id?: unknown; mac?: unknown };
    const token = typeof id === 'string' ? this.#deps.tokens.find(id) : undefined;
    if (!token || !isHex32(mac) || !timingSafeEqual(Buffer.from(mac), Buffer.from(this.#macOf(token, session.link))))
      throw new OrbError('unauthenticated', {
        message: 'The token is not known here, has expired or was revoked, or its secret is another.',
        hint: 'Make one at this super node: orb token create.',
      });
    session.token = token;
    return {};
  }

  #macOf(token: Token, { peer }: Link): Hex32 {
    const { chain, key, tokens } = this.#deps;
    return callerTokenMac(tokens.secretOf(token), { chain, superNode: key, caller: peer.key });
  }
}

/** `192.0.2.1:50123` → `192.0.2.1`, `[2001:db8::1]:50123` → `2001:db8::1`: as the gateway names callers too. */
function hostOf(address: string): string {
  return address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}
