import type { TransactionId } from '@orb/protocol';
import type { Keeping, KeptBlock, NewBlock, Place, SignedHeader } from '../keeping.ts';

/** The keeping of a copy that has begun with a snapshot: what came since and, once it is there, what was before. */
export class JoinedKeeping implements Keeping {
  readonly #begin: SignedHeader;
  readonly #since: Keeping;
  #before: Keeping | undefined;

  /** @param begin the block of the snapshot */
  constructor(begin: SignedHeader, since: Keeping) {
    this.#begin = begin;
    this.#since = since;
  }

  get oldest(): number {
    return this.#before ? 0 : this.#begin.header.height + 1;
  }

  /** @param before every block up to that of the snapshot. Closed with this. */
  join(before: Keeping): void {
    this.#before = before;
  }

  append(block: NewBlock): Promise<void> {
    return this.#since.append(block);
  }

  async read(height: number): Promise<KeptBlock | undefined> {
    return this.#of(height)?.read(height);
  }

  async readHead(height: number): Promise<SignedHeader | undefined> {
    return height === this.#begin.header.height ? this.#begin : this.#of(height)?.readHead(height);
  }

  async readText(height: number): Promise<string | undefined> {
    return this.#of(height)?.readText(height);
  }

  async locate(id: TransactionId): Promise<Place | undefined> {
    return (await this.#since.locate(id)) ?? this.#before?.locate(id);
  }

  async writesOf(key: string, limit: number): Promise<readonly Place[]> {
    const before = (await this.#before?.writesOf(key, limit)) ?? [];
    return before.length >= limit ? before : [...before, ...(await this.#since.writesOf(key, limit - before.length))];
  }

  async jobPlace(allowance: string, sequence: number): Promise<Place | undefined> {
    return (await this.#since.jobPlace(allowance, sequence)) ?? this.#before?.jobPlace(allowance, sequence);
  }

  async close(): Promise<void> {
    await this.#since.close();
    await this.#before?.close();
  }

  #of(height: number): Keeping | undefined {
    return height > this.#begin.header.height ? this.#since : this.#before;
  }
}
