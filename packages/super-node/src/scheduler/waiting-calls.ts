import type { OrbError, VersionId } from '@orb/protocol';

/** A call that waits for a place. */
export interface WaitingCall {
  readonly version: VersionId;
  /** It may not go everywhere: that there is no place for it says nothing about the calls after it. */
  readonly choosy: boolean;
  /** Takes a place if there is one. @throws OrbError when there never will be */
  tryPlace(): boolean;
  giveUp(error: OrbError): void;
}

/**
 * Calls that wait, first come, first served. They stand in a line for each version, because where there is no place for
 * one call of a version there is none for the next: a slot that becomes free costs one look, however many calls wait.
 */
export class WaitingCalls {
  readonly #lines = new Map<VersionId, Map<WaitingCall, number>>();
  #size = 0;
  #arrivals = 0;

  get size(): number {
    return this.#size;
  }

  add(call: WaitingCall): void {
    const line = this.#lines.get(call.version) ?? new Map<WaitingCall, number>();
    this.#lines.set(call.version, line.set(call, this.#arrivals++));
    this.#size++;
  }

  delete(call: WaitingCall): void {
    const line = this.#lines.get(call.version);
    if (!line?.delete(call)) return;
    this.#size--;
    if (line.size === 0) this.#lines.delete(call.version);
  }

  /**
   * Offers what is free to those that wait, oldest first; a call whose nodes are all gone is told at once.
   * @param has whether there may be a place for a version now
   * @param more whether there is anything left to give
   */
  serve(has: (version: VersionId) => boolean, more: () => boolean): void {
    const lines = [...this.#lines.keys()].filter(has).map((version) => new Line(this.#lines.get(version)!));
    while (more()) {
      const oldest = lines.reduce<Line | undefined>((best, line) => (line.arrival < (best?.arrival ?? Infinity) ? line : best), undefined);
      if (!oldest) return;
      oldest.tryNext();
    }
  }
}

/** The rest of one version's line in one round of serving. */
class Line {
  readonly #calls: Iterator<[WaitingCall, number], undefined>;
  #next: WaitingCall | undefined;
  /** When the next one came; Infinity when there is none that could be served. */
  arrival = Infinity;

  constructor(calls: ReadonlyMap<WaitingCall, number>) {
    this.#calls = calls.entries();
    this.#advance();
  }

  tryNext(): void {
    const call = this.#next!;
    try {
      if (call.tryPlace() || call.choosy) this.#advance();
      else this.arrival = Infinity;
    } catch (error) {
      call.giveUp(error as OrbError);
      this.#advance();
    }
  }

  #advance(): void {
    const next = this.#calls.next();
    [this.#next, this.arrival] = next.done === true ? [undefined, Infinity] : next.value;
  }
}
