import { createHash } from 'node:crypto';
import type { LinkAnswer } from '@orb/link';
import {
  asOrbError,
  jobIdOf,
  OrbError,
  parseForwardTrailer,
  receiptFromRow,
  resultHash,
  ticketFromRow,
  type ForwardTrailer,
  type JobEnd,
  type Ticket,
} from '@orb/protocol';
import type { ReplyStream } from '../call.ts';
import { blameHost, checkForwarded, type AnswerHead, type Forwarded } from './check-forwarded.ts';
import { jobEnd } from './reply-to.ts';

/**
 * A response that streams from another super node. As with one of an own node, it ends well only after ticket and
 * receipt were checked against the bytes that passed; the record is the host's, written before its trailer came.
 */
export class ForwardedRelay implements ReplyStream {
  /** Resolves when the call is over, however it ended. */
  readonly over: Promise<void>;
  readonly #forwarded: Forwarded;
  readonly #ticket: Ticket;
  readonly #head: AnswerHead;
  readonly #answer: LinkAnswer;
  readonly #source: AsyncIterator<Uint8Array, unknown>;
  readonly #hash = createHash('sha256');
  readonly #over = Promise.withResolvers<void>();
  #bytes = 0;
  #ended = false;
  #jobEnd: JobEnd | undefined;

  constructor(forwarded: Forwarded, ticket: Ticket, head: AnswerHead, answer: LinkAnswer) {
    this.#forwarded = forwarded;
    this.#ticket = ticket;
    this.#head = head;
    this.#answer = answer;
    this.#source = answer.body[Symbol.asyncIterator]();
    this.over = this.#over.promise;
  }

  get end(): JobEnd | undefined {
    return this.#jobEnd;
  }

  /** The caller's connection has ended; where the stream had not, the host has been told already. */
  acknowledge(): void {
    if (this.#jobEnd) this.#forwarded.peer.link.notify('received', { job: jobIdOf(this.#ticket), received: true });
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return { next: () => this.#next(), return: () => this.#return() };
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#ended) return { done: true, value: undefined };
    try {
      const next = await this.#source.next();
      if (next.done !== true) return { done: false, value: this.#pass(next.value) };
      this.#check(parseForwardTrailer(await this.#answer.trailer));
    } catch (error) {
      throw this.#fail(asOrbError(error));
    }
    this.#end();
    return { done: true, value: undefined };
  }

  #pass(piece: Uint8Array): Uint8Array {
    this.#bytes += piece.length;
    const { streamBytes } = this.#forwarded.context;
    if (this.#bytes > streamBytes) {
      throw new OrbError('response-too-large', {
        message: `The response is larger than ${streamBytes} bytes, the limit of a stream here.`,
      });
    }
    this.#hash.update(piece);
    return piece;
  }

  #check(trailer: ForwardTrailer): void {
    const ticket = ticketFromRow(trailer.ticket);
    const receipt = receiptFromRow(trailer.receipt);
    checkForwarded(this.#forwarded, ticket, receipt, resultHash(this.#head.status, this.#hash.digest('hex')));
    if (jobIdOf(ticket) !== jobIdOf(this.#ticket)) {
      throw new OrbError('protocol-violation', { message: 'The other super node shows another job than it began with.' });
    }
    this.#jobEnd = jobEnd(ticket, receipt, trailer.prcUs);
  }

  async #return(): Promise<IteratorResult<Uint8Array>> {
    if (!this.#ended) this.#fail(new OrbError('cancelled'));
    return { done: true, value: undefined };
  }

  #fail(cause: OrbError): OrbError {
    const { abort } = this.#forwarded.request;
    const ours = abort.signal.aborted || cause.code === 'cancelled' || cause.code === 'response-too-large';
    this.#end();
    abort.abort();
    // What the host says of the function passes; that the host is gone, or has lied, is another matter.
    return ours || !hostFaults.has(cause.code) ? cause : blameHost(cause, this.#forwarded);
  }

  #end(): void {
    this.#ended = true;
    this.#over.resolve();
  }
}

const hostFaults: ReadonlySet<string> = new Set(['link-closed', 'protocol-violation', 'internal']);
