import type { JobId } from '@orb/protocol';
import type { PeerSession } from './peer-registry.ts';

interface AnswerOut {
  readonly peer: PeerSession;
  readonly untilMs: number;
  acknowledge(received: boolean): void;
}

/** How long an entry may take to say what became of an answer. */
const wordWithinMs = 60_000;

/**
 * Answers that went to the super node where their calls came in, until that one says what became of them. An entry that
 * says nothing, or is gone, cannot keep a node from its pay: silence counts as received.
 */
export class AnswersOut {
  readonly #out = new Map<JobId, AnswerOut>();
  readonly #nowMs: () => number;

  constructor(dependencies: { readonly nowMs: () => number }) {
    this.#nowMs = dependencies.nowMs;
  }

  get size(): number {
    return this.#out.size;
  }

  add(peer: PeerSession, job: JobId, acknowledge: (received: boolean) => void): void {
    this.#out.set(job, { peer, untilMs: this.#nowMs() + wordWithinMs, acknowledge });
  }

  /** The entry's word. Another's word, or a second one, changes nothing. */
  word(peer: PeerSession, job: JobId, received: boolean): void {
    const answer = this.#out.get(job);
    if (answer?.peer === peer) this.#end(job, answer, received);
  }

  /** A link has ended. */
  peerGone(peer: PeerSession): void {
    for (const [job, answer] of this.#out) if (answer.peer === peer) this.#end(job, answer, true);
  }

  /** Ends waits that are over: in the order they began. Called once a second. */
  endLate(): void {
    const now = this.#nowMs();
    for (const [job, answer] of this.#out) {
      if (answer.untilMs > now) return;
      this.#end(job, answer, true);
    }
  }

  #end(job: JobId, answer: AnswerOut, received: boolean): void {
    this.#out.delete(job);
    answer.acknowledge(received);
  }
}
