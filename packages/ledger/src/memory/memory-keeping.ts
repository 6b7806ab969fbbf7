import { canonical, type Json, type TransactionId } from '@orb/protocol';
import { BlockIndex } from '../block-index.ts';
import type { Keeping, KeptBlock, NewBlock, Place, SignedHeader } from '../keeping.ts';

/** Keeps blocks in memory, for as long as the process lives. */
export class MemoryKeeping implements Keeping {
  readonly oldest = 0;
  readonly #blocks: KeptBlock[] = [];
  readonly #index = new BlockIndex();

  async append({ block, delta }: NewBlock): Promise<void> {
    this.#blocks.push({ block, delta });
    this.#index.add(block.header.height, delta);
  }

  async read(height: number): Promise<KeptBlock | undefined> {
    return this.#blocks[height];
  }

  async readHead(height: number): Promise<SignedHeader | undefined> {
    return this.#blocks[height]?.block;
  }

  async readText(height: number): Promise<string | undefined> {
    const kept = this.#blocks[height];
    return kept && canonical(kept.block as unknown as Json);
  }

  async locate(id: TransactionId): Promise<Place | undefined> {
    return this.#index.transactions.get(id);
  }

  async writesOf(key: string, limit: number): Promise<readonly Place[]> {
    return this.#index.writes.get(key)?.slice(0, limit) ?? [];
  }

  async jobPlace(allowance: string, sequence: number): Promise<Place | undefined> {
    return this.#index.jobPlace(allowance, sequence);
  }

  async close(): Promise<void> {}
}
