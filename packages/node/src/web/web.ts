import { limits, type FunctionId, type NetworkPolicy } from '@orb/protocol';
import type { Agent } from 'undici';
import type { SeededVersion } from '../seeding/seed-shelf.ts';
import type { Internet } from './internet.ts';
import { JobWeb, type FunctionWeb } from './job-web.ts';
import { publicDialler } from './public-dialler.ts';
import { TokenBucket } from './token-bucket.ts';

/** Functions whose connections are kept; the one that was used longest ago goes first. */
const maxFunctions = 256;

export interface WebDependencies {
  readonly internet: Internet;
  /** What the node's owner allows at this moment. */
  readonly policy: () => NetworkPolicy | undefined;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
}

/** The way out for functions: through this process alone, each with connections and limits of its own. */
export class Web {
  readonly #dependencies: WebDependencies;
  readonly #functions = new Map<FunctionId, FunctionWeb & { readonly dispatcher: Agent }>();

  constructor(dependencies: WebDependencies) {
    this.#dependencies = dependencies;
  }

  /** The requests of one job; undefined where its manifest asks for no network. */
  open({ function: id, name, manifest }: SeededVersion): JobWeb | undefined {
    if (manifest.network.length === 0) return undefined;
    return new JobWeb({ name, manifest }, { web: this.#webOf(id), policy: this.#dependencies.policy });
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    await Promise.all([...this.#functions.values()].map(({ dispatcher }) => dispatcher.destroy()));
    this.#functions.clear();
  }

  #webOf(id: FunctionId): FunctionWeb {
    const { internet, nowMs } = this.#dependencies;
    const known = this.#functions.get(id);
    if (known) this.#functions.delete(id);
    const web = known ?? {
      dispatcher: publicDialler(internet),
      requests: new TokenBucket({ perSecond: limits.fetchesPerSecond }, { nowMs }),
      bytes: new TokenBucket({ perSecond: limits.fetchBytesPerSecond }, { nowMs }),
    };
    this.#functions.set(id, web);
    this.#dropOldest();
    return web;
  }

  #dropOldest(): void {
    if (this.#functions.size <= maxFunctions) return;
    const [oldest] = this.#functions.keys();
    // Its requests under way end in their own time.
    void this.#functions.get(oldest!)!.dispatcher.close();
    this.#functions.delete(oldest!);
  }
}
