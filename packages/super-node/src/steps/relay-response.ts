import { createHash } from 'node:crypto';
import type { LinkAnswer } from '@orb/link';
import { asOrbError, OrbError, parseRunTrailer, type JobEnd, type RunAnswer } from '@orb/protocol';
import { sourceOf } from '../logs/log-source.ts';
import type { JobProof, ReplyStream } from '../call.ts';
import { endWithAnswer, endWithoutAnswer, type Answered, type Outgoing } from './end-job.ts';
import { recordJob } from './record-job.ts';
import { failureOf, proofOf, jobEndOf } from './reply-to.ts';

/**
 * A response that streams, on its way from the node to the caller. THE RULE: it ends well only after its receipt was
 * checked against the bytes that passed and its record was written. Whatever goes wrong before, a crash of this process
 * included, leaves the caller with a body that was broken off, never with one that looks complete.
 */
export class ResponseRelay implements ReplyStream {
  /** Resolves when the job is over, however it ended. */
  readonly over: Promise<void>;
  readonly #out: Outgoing;
  readonly #answer: LinkAnswer;
  readonly #head: RunAnswer;
  readonly #source: AsyncIterator<Uint8Array, unknown>;
  readonly #hash = createHash('sha256');
  readonly #over = Promise.withResolvers<void>();
  readonly #limit: number;
  #bytes = 0;
  #ended = false;
  #answered: Answered | undefined;
  #acknowledged = false;

  constructor(out: Outgoing, answer: LinkAnswer, head: RunAnswer) {
    this.#out = out;
    this.#answer = answer;
    this.#head = head;
    this.#source = answer.body[Symbol.asyncIterator]();
    this.#limit = out.context.streamBytes;
    this.over = this.#over.promise;
  }

  /** Of a job that has ended well. */
  proof(): JobProof {
    if (!this.#answered) throw new OrbError('internal', { message: 'The stream has not ended.' });
    return proofOf(this.#answered);
  }

  get end(): JobEnd | undefined {
    return this.#answered && jobEndOf(this.#answered);
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return { next: () => this.#next(), return: () => this.#return() };
  }

  /** The caller's connection has ended. What ran is paid for, whether the very last byte got away or not. */
  acknowledge(): void {
    const { context, request } = this.#out;
    if (!this.#answered || this.#acknowledged) return;
    this.#acknowledged = true;
    context.settlement.acknowledge(this.#answered.job, true, context.nowUs() - request.readAtUs);
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#ended) return { done: true, value: undefined };
    const { dispatch } = this.#out;
    dispatch.waitsForCaller = false;
    try {
      const next = await this.#source.next();
      if (next.done !== true) {
        dispatch.waitsForCaller = true;
        return { done: false, value: this.#pass(next.value) };
      }
      await this.#complete(parseRunTrailer(await this.#answer.trailer));
    } catch (error) {
      throw this.#fail(asOrbError(error));
    }
    return { done: true, value: undefined };
  }

  #pass(piece: Uint8Array): Uint8Array {
    this.#bytes += piece.length;
    if (this.#bytes > this.#limit) {
      throw new OrbError('response-too-large', {
        message: `The response is larger than ${this.#limit} bytes, the limit of a stream here.`,
      });
    }
    this.#hash.update(piece);
    return piece;
  }

  /** Checked, recorded, and only then over. @throws OrbError the function's own failure too: its body must not look complete */
  async #complete(trailer: Parameters<typeof endWithAnswer>[3]): Promise<void> {
    const { context, ticketed, request } = this.#out;
    const answered = endWithAnswer(this.#out, this.#head, this.#hash.digest('hex'), trailer);
    this.#end();
    this.#answered = answered;
    const { job, receipt, acknowledgement, node } = answered;
    const functionName = ticketed.admission.entry.fullName;
    context.recentJobs.add({ functionName, node: node.id, job, receipt, acknowledgement });
    await recordJob(answered, context);
    const failure = failureOf(receipt, trailer, functionName);
    if (failure) context.logs.sayFailure(sourceOf(answered), failure.message);
    if (failure || request.abort.signal.aborted) this.acknowledge();
    if (failure) throw failure;
  }

  /** The caller wants no more: the node is told, and shows a receipt for what ran. */
  async #return(): Promise<IteratorResult<Uint8Array>> {
    if (!this.#ended) this.#fail(new OrbError('cancelled'));
    return { done: true, value: undefined };
  }

  #fail(cause: OrbError): OrbError {
    if (this.#ended) return cause;
    this.#end();
    // Ends the job at its node, whatever else happens.
    this.#out.request.abort.abort();
    const overLimit = cause.code === 'response-too-large';
    const { error } = endWithoutAnswer(this.#out, overLimit ? new OrbError('cancelled', { cause }) : cause);
    return overLimit ? cause : error;
  }

  #end(): void {
    this.#ended = true;
    this.#out.context.dispatches.end(this.#out.ticketed.job);
    this.#over.resolve();
  }
}
