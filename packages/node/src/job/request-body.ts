import { createHash, type Hash } from 'node:crypto';
import type { LinkBody } from '@orb/link';
import { isOrbError, limits, OrbError, requestHash, sha256, streamedRequestHash, type Hex32 } from '@orb/protocol';
import type { AcceptedJob, JobDesk } from './accept-job.ts';

interface BodyRoom {
  readonly desk: JobDesk;
  /** The most bytes of a body that streams. */
  readonly streamBytes: number;
}

/** A request's body as the handler gets it, and what the receipt says of it. */
export interface RequestBody {
  readonly source: Uint8Array | AsyncIterable<Uint8Array>;
  /** Bytes handed over so far. */
  readonly bytes: number;
  /** The receipt's request hash: empty where the ticket's says it all. */
  readonly hash: () => Hex32 | '';
}

/** How long a whole body may take to come after its job, milliseconds. */
const bodyWaitMs = 30_000;

/**
 * The body that the ticket names: whole and checked against the ticket's hash, or a stream that is hashed on its way.
 * @throws OrbError `node-refused` when the hash is another, `too-large`, `link-closed`, `cancelled`
 */
export function takeRequestBody(job: AcceptedJob, body: LinkBody, { desk, streamBytes }: BodyRoom): RequestBody | Promise<RequestBody> {
  const whole = body.complete;
  // Most bodies are here already and are what the ticket names: one hash says so.
  if (whole !== undefined && isNamed(job, whole)) return wholeBody(whole);
  if (isStreamed(job)) return new StreamedRequestBody(job, body, streamBytes);
  if (whole !== undefined) return checkWhole(job, whole, desk);
  return waitForBody(body).then((bytes) => checkWhole(job, bytes, desk));
}

function checkWhole(job: AcceptedJob, bytes: Uint8Array, desk: JobDesk): RequestBody {
  if (bytes.length > limits.bodyBytes) throw tooLarge(limits.bodyBytes);
  if (!isNamed(job, bytes)) desk.refuse('request-hash', 'the request is not the one that the ticket names');
  return wholeBody(bytes);
}

function isNamed({ request, ticket }: AcceptedJob, bytes: Uint8Array): boolean {
  return bytes.length <= limits.bodyBytes && requestHash(request.method, request.path, sha256(bytes)) === ticket.requestHash;
}

/** Whether the ticket says that the request's hash is known only when its body has ended. */
function isStreamed({ request, ticket }: AcceptedJob): boolean {
  return ticket.requestHash === streamedRequestHash(request.method, request.path);
}

function wholeBody(bytes: Uint8Array): RequestBody {
  return { source: bytes, bytes: bytes.length, hash: nothingToAdd };
}

const nothingToAdd = () => '' as const;

async function waitForBody(body: LinkBody): Promise<Uint8Array> {
  const timer = setTimeout(() => body.discard(), bodyWaitMs);
  try {
    return await body.bytes(limits.bodyBytes);
  } catch (error) {
    throw isOrbError(error)
      ? error
      : new OrbError('node-refused', { message: 'The node refused the job: its body did not come.', cause: error });
  } finally {
    clearTimeout(timer);
  }
}

class StreamedRequestBody implements RequestBody {
  readonly source: AsyncIterable<Uint8Array>;
  readonly #job: AcceptedJob;
  readonly #hash: Hash = createHash('sha256');
  bytes = 0;

  constructor(job: AcceptedJob, body: LinkBody, limit: number) {
    this.#job = job;
    this.source = this.#pour(body, limit);
  }

  /** Of what the handler was given: all of it, unless the handler stopped reading. */
  hash(): Hex32 {
    const { method, path } = this.#job.request;
    return requestHash(method, path, this.#hash.copy().digest('hex'));
  }

  async *#pour(body: LinkBody, limit: number): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      this.bytes += piece.length;
      if (this.bytes > limit) throw tooLarge(limit);
      this.#hash.update(piece);
      yield piece;
    }
  }
}

function tooLarge(limit: number): OrbError {
  return new OrbError('too-large', { message: `The request’s body is larger than ${limit} bytes.` });
}
