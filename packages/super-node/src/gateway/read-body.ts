import type { IncomingMessage } from 'node:http';
import { OrbError } from '@orb/protocol';

/** A caller that trickles a body that is taken whole ties up a socket for this long at most. */
const wholeBodyMs = 60_000;
/** How long a caller may still send what nobody reads, so that it comes to read the answer. */
const lingerMs = 5_000;

/** Reads a body of at most `limit` bytes into one array. */
export function readWhole(request: IncomingMessage, limit: number, done: (error: Error | null, body?: Buffer) => void): void {
  const tooLarge = () =>
    new OrbError('too-large', { message: `The body is larger than ${limit} bytes, which is what this address takes.` });
  if (Number(request.headers['content-length'] ?? 0) > limit) return done(tooLarge());
  const pieces: Buffer[] = [];
  let length = 0;
  let over = false;
  const finish = (error: Error | null) => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    request.removeListener('data', take);
    if (error) return done(error);
    done(null, pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, length));
  };
  const take = (piece: Buffer) => {
    length += piece.length;
    if (length > limit) return finish(tooLarge());
    pieces.push(piece);
  };
  const timer = setTimeout(() => finish(new OrbError('invalid-request', { message: 'The body did not come in time.' })), wholeBodyMs);
  request.on('data', take);
  request.on('end', () => finish(null));
  // Every request closes at last: an error, with its stack, is made only for one that was not over by then.
  request.on('close', () => over || finish(new OrbError('cancelled')));
}

/** The pieces of a body as they come; what is not taken stays with the caller. @param idleMs how long it may send nothing while a piece is wanted */
export async function* readPieces(request: IncomingMessage, idleMs: number): AsyncGenerator<Uint8Array, void, undefined> {
  let wake: (() => void) | undefined;
  const onChange = () => wake?.();
  for (const event of ['readable', 'end', 'close', 'error']) request.on(event, onChange);
  for (;;) {
    const piece = request.read() as Buffer | null;
    if (piece) yield piece;
    else if (request.readableEnded) return;
    else if (request.destroyed) throw new OrbError('cancelled');
    else {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const late = () => reject(new OrbError('invalid-request', { message: `No byte of the body came for ${idleMs} ms.` }));
      const timer = setTimeout(late, idleMs);
      wake = resolve;
      await promise.finally(() => clearTimeout(timer));
    }
  }
}

/** Once the answer has gone: what is left of an unread body is thrown away for a moment, then the connection ends. */
export function dropRest(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  // Somebody who reads piece by piece would keep it from flowing.
  request.removeAllListeners('readable');
  request.resume();
  const timer = setTimeout(() => request.socket.destroy(), lingerMs);
  request.once('close', () => clearTimeout(timer));
}
