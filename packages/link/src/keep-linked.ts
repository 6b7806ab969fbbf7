import { asOrbError, OrbError } from '@orb/protocol';
import type { DialOptions, Link, LinkTransport } from './port.ts';

export interface KeepLinkedOptions extends Omit<DialOptions, 'signal'> {
  /** Whom to dial. */
  readonly address: string;
  /** The link is up. */
  onUp(link: Link): void;
  /**
   * The link went down, or an attempt failed: why, and when the next attempt is. Called for each failed attempt, so that
   * a refusal that repeats itself is seen.
   */
  onDown(reason: OrbError, retryInMs: number): void;
  readonly backOff?: Partial<BackOff>;
}

/** How long to wait between attempts, milliseconds. The wait doubles; each is drawn from its upper half. */
export interface BackOff {
  /** @default 200 */
  readonly firstMs: number;
  /** @default 15,000 */
  readonly longestMs: number;
  /** After a refusal, which mostly stays one until somebody acts. @default 15,000 */
  readonly refusedMs: number;
  /** A link that was up so long counts as good: the next wait is the first again. @default 2,000 */
  readonly goodAfterMs: number;
}

export const defaultBackOff: BackOff = { firstMs: 200, longestMs: 15_000, refusedMs: 15_000, goodAfterMs: 2_000 };

export interface KeepLinkedDependencies {
  readonly transport: LinkTransport;
  /** Uniform in [0, 1). @default Math.random: it only spreads the load */
  readonly random?: () => number;
}

/** A link that is kept up. */
export interface KeptLink {
  /** The link while it is up. */
  readonly link: Link | undefined;
  /** Closes the link, or gives the attempt up, and dials no more. Resolves when nothing is left. */
  stop(reason?: OrbError): Promise<void>;
}

/** Dials, and dials again whenever the link is lost, until stopped. Never throws and never gives up. */
export function keepLinked(options: KeepLinkedOptions, dependencies: KeepLinkedDependencies): KeptLink {
  return new LinkKeeper(options, dependencies);
}

class LinkKeeper implements KeptLink {
  readonly #options: KeepLinkedOptions;
  readonly #transport: LinkTransport;
  readonly #random: () => number;
  readonly #backOff: BackOff;
  readonly #stopping = new AbortController();
  readonly #ended: Promise<void>;
  #failures = 0;
  link: Link | undefined;

  constructor(options: KeepLinkedOptions, { transport, random = Math.random }: KeepLinkedDependencies) {
    this.#options = options;
    this.#transport = transport;
    this.#random = random;
    this.#backOff = { ...defaultBackOff, ...options.backOff };
    this.#ended = this.#run();
  }

  async stop(reason?: OrbError): Promise<void> {
    this.#stopping.abort();
    await this.link?.close(reason);
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const reason = await this.#linkOnce();
      if (this.#stopping.signal.aborted) return;
      const waitMs = this.#nextWaitMs(reason);
      this.#options.onDown(reason, waitMs);
      await this.#wait(waitMs);
    }
  }

  /** One link from dialling to its end. Resolves with why it ended or never came up. */
  async #linkOnce(): Promise<OrbError> {
    const { address, identity, handler, peerKey } = this.#options;
    const { signal } = this.#stopping;
    try {
      const link = await this.#transport.dial(address, { identity, handler, peerKey, signal });
      const upAtMs = performance.now();
      this.#tellUp(link);
      const reason = await link.closed;
      if (performance.now() - upAtMs >= this.#backOff.goodAfterMs) this.#failures = 0;
      return reason ?? new OrbError('link-closed', { message: 'The other side closed the link.' });
    } catch (error) {
      return asOrbError(error);
    } finally {
      this.link = undefined;
    }
  }

  #tellUp(link: Link): void {
    this.link = link;
    try {
      if (this.#stopping.signal.aborted) void link.close();
      else this.#options.onUp(link);
    } catch (error) {
      void link.close(asOrbError(error));
    }
  }

  #nextWaitMs(reason: OrbError): number {
    const { firstMs, longestMs, refusedMs } = this.#backOff;
    const doubled = Math.min(firstMs * 2 ** this.#failures++, longestMs);
    const most = reason.code === 'link-refused' ? Math.max(doubled, refusedMs) : doubled;
    return Math.round(most * (0.5 + this.#random() / 2));
  }

  #wait(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#stopping;
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, waitMs);
      signal.addEventListener('abort', end, { once: true });
    });
  }
}
