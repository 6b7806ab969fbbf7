import { asOrbError, Canceller, fromUtf8, isHex32, OrbError } from '@orb/protocol';
import { maxAskBytes, maxAsks, readU32 } from '../harness/wire.js';
import type { Invocation, NestedCall } from '../port.ts';

interface Question {
  readonly number: number;
  readonly target: string;
  readonly function: unknown;
  readonly version: unknown;
  readonly type: unknown;
  readonly timeoutMs: unknown;
  readonly body: Uint8Array;
}

/** The calls of other functions that one job makes. */
export class JobAsks {
  readonly #invocation: Invocation;
  readonly #startedUs: number;
  readonly #tell: (head: object, body: Uint8Array) => Promise<void>;
  readonly #over = new Canceller();
  #asked = 0;

  constructor(invocation: Invocation, startedUs: number, tell: (head: object, body: Uint8Array) => Promise<void>) {
    this.#invocation = invocation;
    this.#startedUs = startedUs;
    this.#tell = tell;
  }

  /** Takes a question of the function; it is answered later. @throws TypeError when it is none */
  ask(payload: Uint8Array): void {
    const question = readQuestion(payload);
    // The harness counts too: more comes from nothing well-meant.
    if (question.number !== ++this.#asked || this.#asked > maxAsks) throw new TypeError('questions out of order, or too many');
    void this.#answer(question);
  }

  /** The job is over: nobody waits for answers. */
  end(): void {
    this.#over.abort(new OrbError('cancelled'));
  }

  async #answer(question: Question): Promise<void> {
    const ask = question.number;
    try {
      const { call } = this.#invocation;
      if (!call) throw new OrbError('not-supported', { message: 'Functions cannot call others here.' });
      const { status, headers, body } = await call.call(this.#invocation, this.#nested(question));
      await this.#tell({ ask, status, headers }, body);
    } catch (cause) {
      const { code, message, retryable } = asOrbError(cause);
      await this.#tell({ ask, error: { code, message, retryable } }, new Uint8Array());
    }
  }

  #nested({ target, function: id, version, type, timeoutMs, body }: Question): NestedCall {
    const leftMs = Math.floor(this.#invocation.timeoutMs - (performance.now() - this.#startedUs / 1000));
    const wantedMs = typeof timeoutMs === 'number' && timeoutMs > 0 ? Math.ceil(timeoutMs) : leftMs;
    return {
      target,
      function: isHex32(id) ? id : undefined,
      version: isHex32(version) ? version : undefined,
      contentType: typeof type === 'string' ? type.slice(0, 256) : undefined,
      body,
      withinMs: Math.max(1, Math.min(leftMs, wantedMs)),
      signal: this.#over,
    };
  }
}

function readQuestion(payload: Uint8Array): Question {
  const headEnd = payload.length >= 8 ? 8 + readU32(payload, 4) : Number.POSITIVE_INFINITY;
  if (headEnd > payload.length || headEnd > 4_096 || payload.length - headEnd > maxAskBytes)
    throw new TypeError('a question that is cut or too long');
  const head = JSON.parse(fromUtf8(payload.subarray(8, headEnd))) as Omit<Question, 'number' | 'body'>;
  if (typeof head !== 'object' || head === null || typeof head.target !== 'string') throw new TypeError('a question without a target');
  // A copy: the frame's bytes are only valid during this call.
  return { ...head, number: readU32(payload, 0), body: payload.slice(headEnd) };
}
