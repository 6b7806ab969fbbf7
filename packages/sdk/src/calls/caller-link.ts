import { asOrbError, callerTokenMac, chainId, createSigner, OrbError, randomBytes, toHex, type ChainId, type Signer } from '@orb/protocol';
import type { Link, LinkHandler, LinkTransport } from '@orb/link';
import { networkSchema } from '../answers.ts';
import type { Http } from '../http.ts';
import { pause } from './retry.ts';

/** An access key made by {@link TokensClient.create}. */
export interface CallerAccess {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface CallerLinkOptions {
  /** Whose calls these are: an account's key, a token, or nobody's. */
  readonly signer?: Signer | undefined;
  readonly token?: CallerAccess | undefined;
  /** How long a call may wait for a link, milliseconds. */
  readonly connectMs: number;
}

export interface CallerLinkDependencies {
  readonly http: Http;
  /** The network that is meant. @throws OrbError `wrong-chain` */
  chain(): Promise<ChainId>;
  openTransport(): Promise<LinkTransport>;
}

/** The wait between two rounds over all super nodes doubles from one to the other; each is drawn from its upper half. */
const backOff = { firstMs: 100, longestMs: 5_000 } as const;

/** Trying again would not help. */
const finalCodes: ReadonlySet<string> = new Set(['wrong-chain', 'invalid-request', 'not-supported', 'unauthenticated', 'cancelled']);

/** A super node asks a caller nothing. */
const handler: LinkHandler = {
  call: () => Promise.reject(new OrbError('not-supported', { message: 'A caller answers nothing.' })),
  notice: () => undefined,
};

/** A super node that is linked. */
export interface Reached {
  readonly link: Link;
  /** Address of its gateway, as it was given. */
  readonly gateway: string;
  readonly chain: ChainId;
}

/** One link to one super node of several at a time: made when a call needs it, and made anew, elsewhere, when it is lost. */
export class CallerLink {
  readonly #options: CallerLinkOptions;
  readonly #deps: CallerLinkDependencies;
  readonly #closing = new AbortController();
  /** Links that were left while calls were under way on them. */
  readonly #left = new Set<Link>();
  #at = 0;
  #current: Reached | undefined;
  #connecting: Promise<Reached> | undefined;

  constructor(options: CallerLinkOptions, dependencies: CallerLinkDependencies) {
    this.#options = options;
    this.#deps = dependencies;
  }

  /** The link while it is up. */
  get current(): Reached | undefined {
    return this.#current?.link.isOpen === true ? this.#current : undefined;
  }

  /** @throws OrbError why no super node can be reached; `cancelled` */
  async connect(signal: AbortSignal | undefined): Promise<Reached> {
    if (this.#closing.signal.aborted) throw new OrbError('cancelled', { message: 'This client has been closed.' });
    this.#connecting ??= this.#connectAnew().finally(() => (this.#connecting = undefined));
    return signal ? orAborted(this.#connecting, signal) : this.#connecting;
  }

  /** The next call goes to another super node; what is under way on the link may end. */
  leave(link: Link): void {
    if (this.#current?.link !== link) return;
    this.#current = undefined;
    this.#at++;
    if (link.pending === 0) return void link.close();
    this.#left.add(link);
    void link.closed.then(() => this.#left.delete(link));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#connecting?.catch(() => undefined);
    if (this.#current) this.#left.add(this.#current.link);
    await Promise.all([...this.#left].map((link) => link.close()));
  }

  async #connectAnew(): Promise<Reached> {
    const until = performance.now() + this.#options.connectMs;
    for (let waitMs: number = backOff.firstMs; ; waitMs = Math.min(2 * waitMs, backOff.longestMs)) {
      try {
        return await this.#dialAny();
      } catch (cause) {
        const error = asOrbError(cause);
        if (finalCodes.has(error.code) || performance.now() + waitMs > until) throw error;
        await pause(waitMs * (0.5 + Math.random() / 2), this.#closing.signal);
      }
    }
  }

  /** Each super node once, from the one that comes next. @throws OrbError of the first */
  async #dialAny(): Promise<Reached> {
    const { bases } = this.#deps.http;
    let first: OrbError | undefined;
    for (let tried = 0; tried < bases.length; tried++) {
      try {
        return this.#opened(await this.#dial(bases[this.#at % bases.length]!));
      } catch (cause) {
        first ??= asOrbError(cause);
        if (finalCodes.has(first.code)) break;
        this.#at++;
      }
    }
    throw first!;
  }

  async #dial(base: string): Promise<Reached> {
    const { http, openTransport } = this.#deps;
    const chain = await this.#deps.chain();
    const { superNode, genesis } = await http.jsonAt(base, '/v1/network', networkSchema, this.#closing.signal);
    const { address, key } = superNode;
    if (chainId(genesis) !== chain)
      throw new OrbError('wrong-chain', { message: `${base} belongs to another network than the one meant.` });
    if (address === undefined || key === undefined)
      throw new OrbError('link-refused', {
        message: `The super node at ${base} is not on the ledger yet, so nobody knows where it takes links.`,
      });
    const { token, signer } = this.#options;
    // Who is nobody is somebody else on every link.
    const self = (token ? undefined : signer) ?? createSigner(toHex(randomBytes(32)));
    const identity = { chain, role: 'client', signer: self } as const;
    const transport = await openTransport();
    const link = await transport.dial(address, { identity, handler, peerKey: key, signal: this.#closing.signal });
    if (token) await presentToken(link, token, { chain, superNode: key, caller: self.publicKey });
    return { link, gateway: base, chain };
  }

  #opened(reached: Reached): Reached {
    const { link } = reached;
    link.releaseProcess();
    this.#current = reached;
    void link.closed.then(() => {
      if (this.#current !== reached) return;
      this.#current = undefined;
      this.#at++;
    });
    return reached;
  }
}

async function presentToken(
  link: Link,
  { accessKeyId, secretAccessKey }: CallerAccess,
  ends: Parameters<typeof callerTokenMac>[1],
): Promise<void> {
  try {
    await link.call('token', { id: accessKeyId, mac: callerTokenMac(secretAccessKey, ends) });
  } catch (error) {
    void link.close();
    throw error;
  }
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(new OrbError('cancelled', { cause: signal.reason }));
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
