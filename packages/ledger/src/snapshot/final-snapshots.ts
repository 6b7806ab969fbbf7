import { setTimeout as sleep } from 'node:timers/promises';
import { OrbError } from '@orb/protocol';
import type { Cosignatures } from '../finality/cosignature-book.ts';
import type { Ledger } from '../port.ts';
import type { Snapshot } from './snapshot-lines.ts';

/** How long one is given out: making one takes a copy of all records' places. */
const keptMs = 30_000;
/** How long the co-signatures of its block are waited for. */
const finalMs = 10_000;
const lookMs = 20;

/** Snapshots of a ledger that enough peers have co-signed, for those who join. */
export class FinalSnapshots {
  readonly #ledger: Pick<Ledger, 'snapshot'>;
  readonly #cosignatures: Pick<Cosignatures, 'of' | 'status'>;
  #last: { readonly at: number; readonly snapshot: Promise<Snapshot> } | undefined;

  constructor(dependencies: { readonly ledger: Pick<Ledger, 'snapshot'>; readonly cosignatures: Pick<Cosignatures, 'of' | 'status'> }) {
    this.#ledger = dependencies.ledger;
    this.#cosignatures = dependencies.cosignatures;
  }

  /** @throws OrbError `not-supported` while the ledger lists no peers, `ledger-unavailable` while they are away */
  take(): Promise<Snapshot> {
    if (this.#last && performance.now() - this.#last.at < keptMs) return this.#last.snapshot;
    const last = { at: performance.now(), snapshot: this.#make() };
    this.#last = last;
    const forget = () => (this.#last = this.#last === last ? undefined : this.#last);
    last.snapshot.then(() => setTimeout(forget, keptMs).unref(), forget);
    return last.snapshot;
  }

  async #make(): Promise<Snapshot> {
    if ((await this.#cosignatures.status()).source === 'none') {
      throw new OrbError('not-supported', {
        message: 'This ledger lists no peers, so nobody vouches for a snapshot of it.',
        hint: 'Begin with its first block.',
      });
    }
    const { header, signature, entries } = await this.#ledger.snapshot();
    for (const until = performance.now() + finalMs; performance.now() < until; await sleep(lookMs)) {
      const { final, needed } = await this.#cosignatures.status();
      if (final === null || final < header.height) continue;
      const cosignatures = await this.#cosignatures.of(header.height);
      if (cosignatures.length >= needed) return { header, signature, cosignatures, entries };
    }
    throw new OrbError('ledger-unavailable', {
      message: `Too few peers have co-signed block ${header.height}: there is no snapshot to give.`,
      retryAfterMs: 5_000,
    });
  }
}
