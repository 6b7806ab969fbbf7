/**
 * What Orb asks of an AbortSignal, and no more. Every AbortSignal is one; {@link Canceller} is one that costs next to
 * nothing to make, for work of which a process does thousands a second (docs/decisions/0181).
 */
export interface CancelSignal {
  readonly aborted: boolean;
  /** Why, once it is aborted. */
  readonly reason: unknown;
  /** Calls `listener` once, when it is aborted; never, where it is already. */
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** What aborts, and its signal: an AbortController or a {@link Canceller}. */
export interface Cancelling {
  readonly signal: CancelSignal;
  abort(reason?: unknown): void;
}

/** An AbortController that is its own signal. */
export class Canceller implements CancelSignal, Cancelling {
  aborted = false;
  reason: unknown = undefined;
  #listeners: (() => void)[] | undefined;

  get signal(): CancelSignal {
    return this;
  }

  /** Aborts, the first time. What a listener throws is thrown later, at nobody, as for an EventTarget. */
  abort(reason?: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    const listeners = this.#listeners;
    this.#listeners = undefined;
    for (const listener of listeners ?? []) {
      try {
        listener();
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    if (this.aborted || this.#listeners?.includes(listener) === true) return;
    (this.#listeners ??= []).push(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const at = this.#listeners?.indexOf(listener) ?? -1;
    if (at >= 0) this.#listeners!.splice(at, 1);
  }
}
