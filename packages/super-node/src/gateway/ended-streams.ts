import type { JobEnd, JobId } from '@orb/protocol';

/** Streams whose end is remembered: some megabytes. */
const maxEnds = 10_000;

/** How the last answers that streamed have ended: whoever reads with `fetch` sees no trailers, and asks afterwards. */
export class EndedStreams {
  readonly #ends = new Map<JobId, JobEnd>();

  add(job: JobId, end: JobEnd): void {
    if (this.#ends.size >= maxEnds) this.#ends.delete(this.#ends.keys().next().value!);
    this.#ends.set(job, end);
  }

  get(job: JobId): JobEnd | undefined {
    return this.#ends.get(job);
  }
}
