import type { Link } from '@orb/link';
import { fromUtf8, OrbError, utf8 } from '@orb/protocol';
import { dialHub } from '../link-hub/dial-hub.ts';
import type { Caller, CallTarget } from './caller.ts';
import type { Payload } from './payload.ts';

/** Calls over one of Orb's links: the payload is the body. */
export class LinkCaller implements Caller {
  readonly #link: Link;

  private constructor(link: Link) {
    this.#link = link;
  }

  static async open(target: Extract<CallTarget, { protocol: 'link' }>): Promise<LinkCaller> {
    const refuse = () => Promise.reject(new OrbError('not-supported'));
    return new LinkCaller(await dialHub(target, 'client', refuse));
  }

  async call({ text }: Payload): Promise<boolean> {
    const { body } = await this.#link.call('echo', { name: 'echo' }, utf8(text));
    return fromUtf8(body.complete ?? (await body.bytes(text.length + 1))) === text;
  }

  close(): Promise<void> {
    return this.#link.close();
  }
}
