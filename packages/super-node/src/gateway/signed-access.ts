import { checkSignedRequest, limits, OrbError, type AccountRecord, type ChainId, type RequestIdentity } from '@orb/protocol';
import type { FunctionRegistry } from '../registry/function-registry.ts';

/** A request as far as its signature covers it. */
export interface SignedMessage {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
}

/** Nonces remembered at once: at the write rates allowed here far more than a window holds. */
const maxNonces = 500_000;

/** Checks who signed a request, and that it is not a replay. */
export class SignedAccess {
  readonly #chain: ChainId;
  readonly #functions: FunctionRegistry;
  readonly #nowMs: () => number;
  readonly #nonces = new Map<string, number>();

  constructor(options: { readonly chain: ChainId }, dependencies: { readonly functions: FunctionRegistry; readonly nowMs: () => number }) {
    this.#chain = options.chain;
    this.#functions = dependencies.functions;
    this.#nowMs = dependencies.nowMs;
  }

  /** The signer, or undefined when the request is not signed. @throws OrbError `unauthenticated` for a bad signature or a replay */
  identify(message: SignedMessage): RequestIdentity | undefined {
    if (message.headers['signature-input'] === undefined) return undefined;
    const identity = checkSignedRequest(message, message.headers as Record<string, string | undefined>, this.#chain, this.#nowMs());
    this.#refuseReplay(identity);
    return identity;
  }

  /** The account named, when the request is signed by one of its keys. @throws OrbError `unauthenticated`, `unknown-account`, `forbidden` */
  requireAccount(message: SignedMessage, name: string): AccountRecord {
    const identity = this.identify(message);
    if (!identity) throw new OrbError('unauthenticated', { message: 'This request must be signed.' });
    const account = this.#functions.accountByName(name);
    if (!account) throw new OrbError('unknown-account', { message: `There is no account ${name.slice(0, 64)}.` });
    if (!account.keys.includes(identity.key))
      throw new OrbError('forbidden', { message: `The request is not signed by a key of ${account.name}.` });
    return account;
  }

  /** A request that nothing has been done for may come again. */
  forget({ key, nonce }: RequestIdentity): void {
    this.#nonces.delete(`${key}${nonce}`);
  }

  #refuseReplay({ nonce, key }: RequestIdentity): void {
    const now = this.#nowMs();
    for (const [old, until] of this.#nonces) {
      if (until > now && this.#nonces.size < maxNonces) break;
      this.#nonces.delete(old);
    }
    const id = `${key}${nonce}`;
    if (this.#nonces.has(id)) throw new OrbError('unauthenticated', { message: 'This signed request has been used already.' });
    this.#nonces.set(id, now + 2 * limits.signedRequestSkewMs);
  }
}
