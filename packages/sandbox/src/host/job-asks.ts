import { asOrbError, fromUtf8, isHex32, limits, OrbError } from '@orb/protocol';
import { maxAskBytes, readU32 } from '../harness/wire.js';
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
  readonly #tell: (head: object, body: Uint8Array) => void;
  readonly #over = new AbortController();
  #asked = 0;

  constructor(invocation: Invocation, startedUs: number, tell: (head: object, body: Uint8Array) => void) {
    this.#invocation = invocation;
    this.#startedUs = startedUs;
    this.#tell = tell;
  }

  /** Takes a question of the function; it is answered later. @throws TypeError when it is none */
  ask(payload: Uint8Array): void {
    const question = readQuestion(payload);
    if (question.number !== ++this.#asked) throw new TypeError('questions out of order');
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
      if (ask > limits.callsPerJob) throw new OrbError('call-limit', { message: `One job may make ${limits.callsPerJob} calls.` });
      const { status, headers, body } = await call.call(this.#invocation, this.#nested(question));
      this.#tell({ ask, status, headers }, body);
    } catch (cause) {
      const { code, message, retryable } = asOrbError(cause);
      this.#tell({ ask, error: { code, message, retryable } }, new Uint8Array());
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
      signal: this.#over.signal,
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
