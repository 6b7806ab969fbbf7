import type { OrbError, ReplicaId } from '@orb/protocol';
import { LinePace } from './line-pace.ts';

/** A call that waits for a place. */
export interface WaitingCall {
  readonly replica: ReplicaId;
  /** Who makes it. */
  readonly from: string;
  /** It may not go everywhere: that there is no place for it says nothing about the calls after it. */
  readonly choosy: boolean;
  /** Takes a place if there is one. @throws OrbError when there never will be */
  tryPlace(): boolean;
  giveUp(error: OrbError): void;
}

/** A version's calls may be so many times as many as there is room left: alone it takes four fifths of all. */
const versionShare = 4;

/**
 * Calls that wait, in a line for each version, because where there is no place for one call of a version there is none for
 * the next: a slot that becomes free costs one look, however many calls wait. Versions take turns, and in each of them the
 * callers do, so that whoever sends many waits for his own. The same keeps room: a caller of a version may have no more
 * calls here than there is room left (Choudhury and Hahne's dynamic threshold, 1998), so a flood always leaves some. In a line
 * that stands there is less of it, by how fast that moves: {@link LinePace}.
 */
export class WaitingCalls {
  readonly #most: number;
  readonly #nowMs: () => number;
  readonly #lines = new Map<ReplicaId, VersionLine>();
  #size = 0;
  #turns = 0;

  /** @param most how many may wait @param nowMs a monotonic clock */
  constructor(most: number, nowMs: () => number) {
    this.#most = most;
    this.#nowMs = nowMs;
  }

  get size(): number {
    return this.#size;
  }

  /** Whether one more of this caller may wait. */
  hasRoom(replica: ReplicaId, from: string): boolean {
    const left = this.#most - this.#size;
    const line = this.#lines.get(replica);
    if (line === undefined) return left > 0;
    const timely = line.pace.most(this.#nowMs()) - line.size;
    return line.countOf(from) < Math.min(left, timely) && line.size < versionShare * left;
  }

  /** Whether calls of a version wait that would take any place: then there is none. */
  isWaitedFor(replica: ReplicaId): boolean {
    return (this.#lines.get(replica)?.unchoosy ?? 0) > 0;
  }

  add(call: WaitingCall): void {
    let line = this.#lines.get(call.replica);
    if (!line) this.#lines.set(call.replica, (line = new VersionLine(this.#turns, this.#nowMs())));
    line.add(call);
    this.#size++;
  }

  delete(call: WaitingCall): void {
    const line = this.#lines.get(call.replica);
    if (!line?.delete(call)) return;
    this.#size--;
    if (line.size === 0) this.#lines.delete(call.replica);
  }

  /**
   * Offers what is free to those that wait; a call whose nodes are all gone is told at once.
   * @param has whether there may be a place for a replica now
   * @param more whether there is anything left to give
   */
  serve(has: (replica: ReplicaId) => boolean, more: () => boolean): void {
    const open: Walk[] = [];
    for (const [replica, line] of this.#lines) if (has(replica)) open.push(new Walk(line));
    while (more()) {
      const next = open.reduce<Walk | undefined>((best, walk) => (walk.turn < (best?.turn ?? Infinity) ? walk : best), undefined);
      if (!next) return;
      if (!next.tryNext()) continue;
      next.line.turn = ++this.#turns;
      next.line.pace.served();
    }
  }
}

/** The calls of one version, in rounds: the first call of each caller, then the second of each, and so on. */
class VersionLine {
  /** When it was served last; the least recently served goes first. */
  turn: number;
  readonly pace: LinePace;
  size = 0;
  /** How many of them would take any place. */
  unchoosy = 0;
  readonly #rounds = new Map<number, Set<WaitingCall>>();
  readonly #roundOf = new Map<WaitingCall, number>();
  readonly #callers = new Map<string, { count: number; round: number }>();
  /** Rounds before it are over, and none is after the last. */
  #first = 0;
  #last = 0;

  constructor(turn: number, nowMs: number) {
    this.turn = turn;
    this.pace = new LinePace(nowMs);
  }

  countOf(from: string): number {
    return this.#callers.get(from)?.count ?? 0;
  }

  add(call: WaitingCall): void {
    const caller = this.#callers.get(call.from) ?? { count: 0, round: -1 };
    caller.round = Math.max(caller.round + 1, this.#first);
    caller.count++;
    this.#last = Math.max(this.#last, caller.round);
    this.#callers.set(call.from, caller);
    const round = this.#rounds.get(caller.round);
    if (round) round.add(call);
    else this.#rounds.set(caller.round, new Set([call]));
    this.#roundOf.set(call, caller.round);
    this.size++;
    if (!call.choosy) this.unchoosy++;
  }

  delete(call: WaitingCall): boolean {
    const number = this.#roundOf.get(call);
    if (number === undefined) return false;
    this.#roundOf.delete(call);
    const round = this.#rounds.get(number)!;
    round.delete(call);
    if (round.size === 0) this.#rounds.delete(number);
    const caller = this.#callers.get(call.from)!;
    if (--caller.count === 0) this.#callers.delete(call.from);
    this.size--;
    if (!call.choosy) this.unchoosy--;
    return true;
  }

  /** In the order in which they are served; those that are deleted meanwhile are left out. */
  *inTurn(): Generator<WaitingCall, undefined> {
    for (let number = this.#first; number <= this.#last; number++) {
      const round = this.#rounds.get(number);
      if (round) yield* round;
      else if (number === this.#first) this.#first++;
    }
  }
}

/** One version's line in one round of serving. */
class Walk {
  readonly line: VersionLine;
  readonly #calls: Iterator<WaitingCall, undefined>;
  #next: WaitingCall | undefined;

  constructor(line: VersionLine) {
    this.line = line;
    this.#calls = line.inTurn();
    this.#advance();
  }

  /** Infinity when there is none that could be served. */
  get turn(): number {
    return this.#next ? this.line.turn : Infinity;
  }

  /** @returns whether a place was taken */
  tryNext(): boolean {
    const call = this.#next!;
    try {
      const placed = call.tryPlace();
      if (placed || call.choosy) this.#advance();
      else this.#next = undefined;
      return placed;
    } catch (error) {
      call.giveUp(error as OrbError);
      this.#advance();
      return false;
    }
  }

  #advance(): void {
    this.#next = this.#calls.next().value;
  }
}
