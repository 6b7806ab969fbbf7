import type { TLSSocket } from 'node:tls';
import { OrbError, type Hex32 } from '@orb/protocol';
import { WebSocket } from 'ws';
import { handshakeLimits } from '../handshake.ts';
import { WsPipe } from './ws-pipe.ts';
import { exportKey, linkSubprotocol, wsOptions } from './wss-options.ts';

/**
 * Opens a WebSocket to a listener; the link's handshake comes next.
 * @throws OrbError `link-closed` when nobody answers as a listener, `invalid-request` for another kind of address, `cancelled`
 */
export function openWss(address: string, signal?: AbortSignal): Promise<{ pipe: WsPipe; exporter: Hex32 }> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) throw cancelled();
    const socket = new WebSocket(checkAddress(address), linkSubprotocol, {
      ...wsOptions,
      // The certificate need not be one that somebody trusts: who the listener is, the handshake proves. The listener
      // signs the exporter of this very TLS connection with the key that the dialler expects, so whoever terminates
      // TLS in between has another exporter and cannot pass the signature on.
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
      // A mask of zeros, which neither side then applies: masks guard proxies that read along (RFC 6455, section 10.3), and
      // none can read inside TLS.
      generateMask: () => undefined,
      handshakeTimeout: handshakeLimits.timeoutMs,
    });
    const cancel = () => socket.terminate();
    signal?.addEventListener('abort', cancel, { once: true });
    socket.once('upgrade', ({ socket: connection }) => {
      signal?.removeEventListener('abort', cancel);
      const exporter = exportKey(connection as TLSSocket);
      const pipe = new WsPipe(socket, connection, { address, dialled: true });
      if (exporter === undefined) socket.terminate();
      else socket.once('open', () => resolve({ pipe, exporter }));
    });
    socket.once('close', () => reject(new OrbError('link-closed', { message: `The connection to ${address} was lost.` })));
    socket.once('error', (cause) => {
      signal?.removeEventListener('abort', cancel);
      reject(
        signal?.aborted === true
          ? cancelled()
          : new OrbError('link-closed', { message: `Nobody answers at ${address}: ${cause.message}`, cause }),
      );
    });
  });
}

function cancelled(): OrbError {
  return new OrbError('cancelled', { message: 'Linking was cancelled.' });
}

function checkAddress(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol === 'wss:') return url;
  throw new OrbError('invalid-request', { message: `${address} is not the address of a link.`, hint: 'It looks like wss://HOST:PORT.' });
}
