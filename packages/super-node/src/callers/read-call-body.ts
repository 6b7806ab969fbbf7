import { OrbError } from '@orb/protocol';
import type { LinkBody } from '@orb/link';

/** A body that has not come as a whole by then never will. */
const wholeBodyMs = 60_000;

/** A body of a stated length that is here already. @throws OrbError `invalid-request` for another length */
export function wholeNow(body: LinkBody, bytes: number): Uint8Array | undefined {
  const whole = body.complete;
  return whole && checkLength(whole, bytes);
}

/** The same for one that is still coming. */
export async function wholeLater(body: LinkBody, bytes: number): Promise<Uint8Array> {
  const timer = setTimeout(() => body.discard(), wholeBodyMs);
  try {
    return checkLength(await body.bytes(bytes), bytes);
  } finally {
    clearTimeout(timer);
  }
}

function checkLength(whole: Uint8Array, bytes: number): Uint8Array {
  if (whole.byteLength !== bytes)
    throw new OrbError('invalid-request', { message: `The body has ${whole.byteLength} bytes, and was to have ${bytes}.` });
  return whole;
}

/** Pieces as they come. @param idleMs how long none may come while one is wanted @throws OrbError `invalid-request` */
export async function* piecesInTime(body: LinkBody, idleMs: number): AsyncGenerator<Uint8Array, void, undefined> {
  const pieces = body[Symbol.asyncIterator]();
  let late = false;
  const giveUp = () => {
    late = true;
    body.discard();
  };
  try {
    for (;;) {
      const timer = setTimeout(giveUp, idleMs);
      const next = await pieces.next().finally(() => clearTimeout(timer));
      if (late) throw new OrbError('invalid-request', { message: `No byte of the body came for ${idleMs} ms.` });
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await pieces.return?.();
  }
}
