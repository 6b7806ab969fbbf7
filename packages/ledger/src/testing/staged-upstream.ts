import type { Block, BlockHeader, Transaction } from '@orb/protocol';
import { OrbError } from '@orb/protocol';
import type { Committed, Ledger } from '../port.ts';
import { ledgerUpstream, type Upstream } from '../replica/upstream.ts';

/** An upstream whose network a test holds in its hands: cut, restored, tampered with. */
export class StagedUpstream implements Upstream {
  /** What arrives in place of a block; by default the block. Throwing breaks the stream there. */
  tamper: (block: Block) => readonly unknown[] = (block) => [block];
  /** What comes of an answer to a submit. */
  answer: (committed: Promise<Committed>) => Promise<Pick<Committed, 'height'>> = (committed) => committed;
  #upstream: Upstream;
  #cut = new AbortController();
  /** How often somebody has asked for blocks. */
  streams = 0;

  constructor(ledger: Ledger) {
    this.#upstream = ledgerUpstream(ledger);
  }

  /** Nothing comes through any more. */
  cut(): void {
    this.#cut.abort();
  }

  /** The network is back, and leads to this ledger. */
  restore(ledger?: Ledger): void {
    if (ledger) this.#upstream = ledgerUpstream(ledger);
    this.#cut = new AbortController();
  }

  async head(signal: AbortSignal): Promise<BlockHeader> {
    this.#check();
    return this.#upstream.head(signal);
  }

  cosignatures: NonNullable<Upstream['cosignatures']> = () => Promise.resolve([]);

  snapshot?: NonNullable<Upstream['snapshot']>;

  async *blocks(from: number, signal: AbortSignal): AsyncGenerator<unknown, void> {
    this.streams++;
    this.#check();
    const cut = this.#cut.signal;
    for await (const block of this.#upstream.blocks(from, AbortSignal.any([signal, cut]))) yield* this.tamper(block as Block);
    if (cut.aborted) this.#check();
  }

  async submit(transaction: Transaction, signal: AbortSignal): Promise<Pick<Committed, 'height'>> {
    this.#check();
    return this.answer(this.#upstream.submit(transaction, signal) as Promise<Committed>);
  }

  #check(): void {
    if (this.#cut.signal.aborted) throw new OrbError('ledger-unavailable', { message: 'The cable is cut.' });
  }
}
