import type { Status } from './status.ts';

type Listener = (text: string) => void;

/** At most so many pages watch at once. */
const maxListeners = 200;
const minGapMs = 250;

/** Sends the status to whoever watches, soon after each change, at most four times a second. */
export class StatusFeed {
  readonly #take: () => Promise<Status>;
  readonly #listeners = new Set<Listener>();
  #timer: NodeJS.Timeout | undefined;

  constructor(dependencies: { readonly take: () => Promise<Status> }) {
    this.#take = dependencies.take;
  }

  take(): Promise<Status> {
    return this.#take();
  }

  get full(): boolean {
    return this.#listeners.size >= maxListeners;
  }

  /** @returns stops listening */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Something changed. Costs nothing while nobody watches. */
  changed(): void {
    if (this.#listeners.size === 0 || this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#send();
    }, minGapMs);
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#listeners.clear();
  }

  async #send(): Promise<void> {
    const text = JSON.stringify(await this.#take());
    for (const listener of this.#listeners) listener(text);
  }
}
