/** Something to look at every 25 ms while it is awake. */
export interface Watched {
  /** @returns false when it need not be looked at until {@link ProcessWatch.wake} */
  look(nowMs: number): boolean;
}

/** A V8 that fills memory as fast as it can holds a 256 MiB limit within 5 % at this interval. */
const intervalMs = 25;

/** One timer for all processes of a sandbox; it rests while all of them do. */
export class ProcessWatch {
  readonly #awake = new Set<Watched>();
  #timer: NodeJS.Timeout | undefined;

  wake(watched: Watched): void {
    this.#awake.add(watched);
    this.#timer ??= setInterval(() => this.#look(), intervalMs).unref();
  }

  remove(watched: Watched): void {
    this.#awake.delete(watched);
    this.#rest();
  }

  #look(): void {
    const nowMs = performance.now();
    for (const watched of this.#awake) if (!watched.look(nowMs)) this.#awake.delete(watched);
    this.#rest();
  }

  #rest(): void {
    if (this.#awake.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
