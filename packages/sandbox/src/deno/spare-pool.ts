import type { HostedInstance } from '../host/hosted-instance.ts';

/** A size class that nobody has asked for in this long keeps no spare. */
const forgetAfterMs = 60_000;

export interface SparePoolOptions {
  /** Spares of the first size class, always. */
  readonly size: number;
  /** MiB; its spares are kept from the start. */
  readonly firstClassMiB: number;
}

/** Processes with the harness loaded and no code, by size class. Each is given away once and replaced. */
export class SparePool {
  readonly #options: SparePoolOptions;
  readonly #start: (memoryMiB: number) => HostedInstance;
  readonly #spares = new Map<number, Set<HostedInstance>>();
  readonly #forget = new Map<number, NodeJS.Timeout>();
  #closed = false;

  constructor(options: SparePoolOptions, dependencies: { start(memoryMiB: number): HostedInstance }) {
    this.#options = options;
    this.#start = (memoryMiB) => dependencies.start(memoryMiB);
  }

  /** A spare of this class, if there is one: it may still be starting. */
  take(memoryMiB: number): HostedInstance | undefined {
    const [spare] = this.#spares.get(memoryMiB) ?? [];
    if (spare) this.#spares.get(memoryMiB)!.delete(spare);
    return spare;
  }

  /** Starts what is missing, in the background. */
  refill(memoryMiB: number): void {
    if (this.#closed) return;
    const first = memoryMiB === this.#options.firstClassMiB;
    if (!first) this.#forgetLater(memoryMiB);
    const spares = this.#spares.get(memoryMiB) ?? new Set();
    this.#spares.set(memoryMiB, spares);
    const wanted = first ? this.#options.size : Math.min(1, this.#options.size);
    while (spares.size < wanted) {
      const spare = this.#start(memoryMiB);
      spares.add(spare);
      // One that cannot start is not tried again until the next call, or a broken machine would do nothing else.
      void spare.ended.then(() => spares.delete(spare));
    }
  }

  /** Resolves when the spares of the first class wait for code. @throws OrbError `sandbox-failed` */
  async ready(): Promise<void> {
    await Promise.all([...(this.#spares.get(this.#options.firstClassMiB) ?? [])].map((spare) => spare.ready()));
  }

  /** Ends the spares, and starts others in their place. */
  async renew(): Promise<void> {
    const sizes = [...this.#spares.keys()];
    const old = [...this.#spares.values()].flatMap((spares) => [...spares]);
    this.#spares.clear();
    for (const memoryMiB of sizes) this.refill(memoryMiB);
    await Promise.all(old.map((spare) => spare.kill()));
  }

  /** Ends all spares. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#forget.values()) clearTimeout(timer);
    await Promise.all([...this.#spares.values()].flatMap((spares) => [...spares].map((spare) => spare.kill())));
  }

  #forgetLater(memoryMiB: number): void {
    clearTimeout(this.#forget.get(memoryMiB));
    const timer = setTimeout(() => {
      for (const spare of this.#spares.get(memoryMiB) ?? []) void spare.kill();
      this.#spares.delete(memoryMiB);
      this.#forget.delete(memoryMiB);
    }, forgetAfterMs);
    this.#forget.set(memoryMiB, timer.unref());
  }
}
