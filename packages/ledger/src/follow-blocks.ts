import { OrbError } from '@orb/protocol';
import type { Ledger } from './port.ts';

/** The canonical JSON of a ledger's blocks from a height on, then of each new one, until the signal ends it. */
export async function* followBlocks(ledger: Ledger, from: number, signal: AbortSignal): AsyncGenerator<string, void> {
  let wake: () => void = () => undefined;
  const onAbort = () => wake();
  signal.addEventListener('abort', onAbort);
  // Only a bell: blocks are read when they are asked for, so that a slow reader piles nothing up.
  const bell = ledger.follow(ledger.head.height + 1, () => wake());
  try {
    for (let height = from; !signal.aborted;) {
      const rung = new Promise<void>((resolve) => (wake = resolve));
      const text = height <= ledger.head.height ? await ledger.blockText(height) : undefined;
      if (text !== undefined) {
        yield text;
        height++;
      } else if (height <= ledger.head.height) {
        throw new OrbError('ledger-unavailable', {
          message: `This copy of the ledger does not have block ${height}: it begins at ${ledger.oldest}.`,
        });
      } else if (!signal.aborted) {
        await rung;
      }
    }
  } finally {
    bell.stop();
    signal.removeEventListener('abort', onAbort);
  }
}
