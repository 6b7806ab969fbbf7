/** What one call sends and must get back, unchanged. */
export interface Payload {
  readonly value: PayloadValue;
  /** `value` as JSON text, ASCII only. */
  readonly text: string;
}

interface PayloadValue {
  /** Unique among all calls of all runs, so no cache and no other caller's answer passes for the right one. */
  readonly id: string;
  readonly text: string;
}

/** Makes payloads of one exact size, each unlike every other. */
export class PayloadSource {
  readonly #prefix: string;
  readonly #filler: string;
  #sequence = 0;

  /**
   * @param run names the run; ASCII letters and digits, so that its JSON is as long as itself
   * @param bytes length of each payload's JSON text; at least 64
   */
  constructor(run: string, bytes: number) {
    if (!/^[a-z0-9]{1,16}$/i.test(run)) throw new RangeError(`A run is named by up to 16 letters and digits, not ${run}.`);
    if (!(bytes >= 64)) throw new RangeError(`A payload has at least 64 bytes, not ${bytes}.`);
    this.#prefix = run;
    const bare = JSON.stringify({ id: this.#idOf(0), text: '' }).length;
    this.#filler = 'the quick brown fox jumps over the lazy dog '.repeat(Math.ceil(bytes / 44)).slice(0, bytes - bare);
  }

  next(): Payload {
    const value = { id: this.#idOf(this.#sequence++), text: this.#filler };
    return { value, text: `{"id":"${value.id}","text":"${value.text}"}` };
  }

  #idOf(sequence: number): string {
    return `${this.#prefix}-${String(sequence).padStart(12, '0')}`;
  }
}

/** Whether an answer is the payload's own value again. */
export function echoes(answer: unknown, { value }: Payload): boolean {
  if (typeof answer !== 'object' || answer === null) return false;
  const { id, text } = answer as Partial<PayloadValue>;
  return id === value.id && text === value.text;
}
