import { asOrbError, type BlockHeader, type Hex32, type OrbError } from '@orb/protocol';
import type { Ledger } from '../port.ts';
import { BackOff, defaultBackOff, type BackOffOptions } from '../replica/back-off.ts';
import { cosignaturesPerMessage, type CosignaturesMessage } from './cosignature-book.ts';
import type { Cosigner } from './cosign-record.ts';

/** Where co-signatures go. */
export interface CosignatureSink {
  /** The highest block that a key has co-signed there; undefined before its first. @throws OrbError `forbidden` for no peer */
  heightOf(key: Hex32, signal: AbortSignal): Promise<number | undefined>;
  send(message: CosignaturesMessage, signal: AbortSignal): Promise<void>;
}

export interface CosigningOptions {
  readonly ledger: Ledger;
  readonly cosigner: Cosigner;
  readonly sink: CosignatureSink;
  readonly backOff?: BackOffOptions;
  /** The sink cannot be reached, or this peer must not sign; it tries again by itself. */
  readonly onTrouble?: (error: OrbError) => void;
}

/** Co-signs every block of a peer's copy and brings the signatures to where they are kept, until it is stopped. */
export function startCosigning({ ledger, cosigner, sink, backOff: waits = defaultBackOff, onTrouble }: CosigningOptions): {
  stop(): Promise<void>;
} {
  const ending = new AbortController();
  const { signal } = ending;
  let ring: () => void = () => undefined;
  const bell = ledger.follow(ledger.head.height + 1, () => ring());
  signal.addEventListener('abort', () => ring());

  const signFrom = async (from: number, backOff: BackOff): Promise<void> => {
    for (let next = from; !signal.aborted;) {
      const rung = new Promise<void>((resolve) => (ring = resolve));
      const headers = await headersFrom(ledger, next);
      if (headers.length === 0) {
        await rung;
        continue;
      }
      await sink.send(await cosigner.sign(headers), signal);
      backOff.reset();
      next = headers.at(-1)!.height + 1;
    }
  };
  const run = async (): Promise<void> => {
    const backOff = new BackOff(waits);
    while (!signal.aborted) {
      try {
        await signFrom(((await sink.heightOf(cosigner.key, signal)) ?? -1) + 1, backOff);
      } catch (error) {
        if (!signal.aborted) onTrouble?.(asOrbError(error));
      }
      await backOff.wait(signal);
    }
  };
  const running = run();
  return {
    async stop() {
      ending.abort();
      bell.stop();
      await running;
    },
  };
}

async function headersFrom(ledger: Ledger, from: number): Promise<BlockHeader[]> {
  const headers: BlockHeader[] = [];
  // What a copy does not have, it has not run.
  for (let height = Math.max(from, ledger.oldest); height <= ledger.head.height && headers.length < cosignaturesPerMessage; height++) {
    headers.push((await ledger.header(height))!);
  }
  return headers;
}
