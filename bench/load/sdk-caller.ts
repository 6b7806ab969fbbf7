import { isOrbError } from '@orb/protocol';
import { Orb } from '@orb/sdk';
import { Refusal, type Caller, type CallTarget } from './caller.ts';
import { echoes, type Payload } from './payload.ts';

/** Calls as a program with the SDK does: over a link, JSON in and out, the receipt's hashes checked. */
export class SdkCaller implements Caller {
  readonly #places: readonly { readonly orb: Orb; readonly fn: string }[];
  #next = 0;

  constructor({ urls }: Extract<CallTarget, { protocol: 'sdk' }>) {
    this.#places = urls.map((address) => {
      const [url = '', fn = ''] = address.split('/fn/');
      // Tried again, a refusal would be seen as a long answer.
      return { orb: new Orb({ url, transport: 'link', retries: 0 }), fn };
    });
  }

  async call(payload: Payload): Promise<boolean> {
    const { orb, fn } = this.#places[this.#next]!;
    this.#next = (this.#next + 1) % this.#places.length;
    try {
      return echoes((await orb.call(fn, payload.value)).output, payload);
    } catch (error) {
      if (!isOrbError(error)) throw error;
      const tooMuch = error.code === 'overloaded' || error.code === 'rate-limited' || error.code === 'no-node-fits';
      throw new Refusal(error.code, tooMuch && error.retryAfterMs !== undefined);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#places.map(({ orb }) => orb.close()));
  }
}
