import type { OrbError } from '@orb/protocol';
import { corsHeaders } from '../cors.ts';
import { errorReply } from '../errors.ts';
import { replyBytes } from './lane-response.ts';

/**
 * Refusals as whole replies, ready to be written. Each is made once a second, for its `date`. Only for errors of which there
 * are few: it is by the object that they are known again.
 */
export class RefusalBytes {
  readonly #date: () => string;
  readonly #keepAliveS: number;
  readonly #made = new Map<OrbError, Buffer>();
  #madeAt = '';

  constructor(out: { readonly date: () => string; readonly keepAliveS: number }) {
    this.#date = out.date;
    this.#keepAliveS = out.keepAliveS;
  }

  of(error: OrbError): Buffer {
    const date = this.#date();
    if (date !== this.#madeAt) this.#made.clear();
    this.#madeAt = date;
    const made = this.#made.get(error);
    return made ?? this.#make(error);
  }

  #make(error: OrbError): Buffer {
    const { headers, body } = errorReply(error, corsHeaders);
    const bytes = replyBytes(error.status, headers, body, { date: this.#date, keepAliveS: this.#keepAliveS });
    this.#made.set(error, bytes);
    return bytes;
  }
}
