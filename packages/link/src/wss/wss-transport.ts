import { dialPipe } from '../dial-pipe.ts';
import type { DialOptions, Link, LinkListener, LinkTransport, ListenOptions } from '../port.ts';
import { openWss } from './open-wss.ts';
import { WssListener } from './wss-listener.ts';
import type { WssOptions } from './wss-options.ts';

/** Links over secure WebSockets: TLS 1.3, then the handshake bound to it. A proxy before a listener passes TCP through. */
export class WssTransport implements LinkTransport {
  readonly #options: WssOptions;

  constructor(options: WssOptions = {}) {
    this.#options = options;
  }

  listen(options: ListenOptions): Promise<LinkListener> {
    return WssListener.open(this.#options, options);
  }

  async dial(address: string, options: DialOptions): Promise<Link> {
    const { pipe, exporter } = await openWss(address, options.signal);
    return dialPipe(pipe, exporter, options, this.#options.settings ?? {});
  }
}

export { makeCertificate, type Certificate } from './certificate.ts';
export { defaultAdmissionLimits, type AdmissionLimits } from './admission.ts';
export type { WssOptions } from './wss-options.ts';
