import { asOrbError, OrbError, type Hex32 } from '@orb/protocol';
import { Connection } from './connection.ts';
import { dialHandshake, handshakeLimits } from './handshake.ts';
import type { LinkSettings } from './link-limits.ts';
import type { MessagePipe } from './message-pipe.ts';
import type { DialOptions, Link } from './port.ts';

/**
 * Shakes hands over a pipe just opened and waits for the listener's welcome; destroys the pipe when it comes to nothing.
 * @throws OrbError `link-refused` when either side refuses, `link-closed` when the connection or the time ends first, `cancelled`
 */
export async function dialPipe(pipe: MessagePipe, exporter: Hex32, options: DialOptions, settings: Partial<LinkSettings>): Promise<Link> {
  const { identity, handler, peerKey, signal } = options;
  try {
    const peer = await dialHandshake(pipe, peerKey, { identity, exporter, ...(signal && { signal }) });
    const link = new Connection({ peer, handler, dialled: true, settings }, pipe);
    link.start();
    await welcomeWithin(link, handshakeLimits.timeoutMs, signal);
    return link;
  } catch (error) {
    pipe.destroy();
    throw dialError(asOrbError(error));
  }
}

/** The listener may still refuse: whether a proven key may link can take it a look at the ledger. */
async function welcomeWithin(link: Connection, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
  const cancel = () => void link.close(new OrbError('cancelled', { message: 'Linking was cancelled.' }));
  const late = () =>
    void link.close(new OrbError('link-closed', { message: 'The other side did not say in time whether it takes the link.' }));
  const timer = setTimeout(late, timeoutMs);
  signal?.addEventListener('abort', cancel, { once: true });
  if (signal?.aborted === true) cancel();
  try {
    await link.welcomed;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', cancel);
  }
}

/** Refusals stay what they are; whatever else went wrong may go better next time. */
function dialError(error: OrbError): OrbError {
  if (error.code === 'link-refused' || error.code === 'link-closed' || error.code === 'cancelled') return error;
  return new OrbError('link-closed', { message: `The other side did not take the link: ${error.message}`, cause: error });
}
