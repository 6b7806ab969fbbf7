import {
  blockHash,
  blockHeaderSchema,
  firstEpoch,
  hex64,
  OrbError,
  parseWith,
  stateKeys,
  type Block,
  type BlockHeader,
  type Epoch,
  type Hex32,
} from '@orb/protocol';
import { z } from 'zod';
import type { Clock } from '../engine.ts';
import type { Ledger } from '../port.ts';
import { isSignedBy } from '../re-execute.ts';
import type { Evidence } from './evidence.ts';

const reasonChars = 500;

/** Why a second block of one height is refused. */
export const twoBlocks = 'the orderer has signed two blocks of this height';
/** Why a block is refused that stands on another ledger than this one. */
export const otherBefore = 'it follows another block than the one before it';
/** Why a block is refused of which this ledger has another, of another epoch. */
export const otherEpoch = 'this ledger has a block of this height that another orderer signed';

/**
 * What peers tell each other of a block that was refused: no more than the orderer's own signature proves. Whoever has
 * another block of that height needs nothing else; whoever has none runs what comes by itself.
 */
const refusalNoticeSchema = z.strictObject({
  v: z.literal(1),
  header: blockHeaderSchema,
  signature: hex64,
  /** Completes the sentence "Block 7 is refused: …". The word of whoever says it. */
  reason: z.string().max(reasonChars),
});
/** A notice of a refused block as read. */
export type RefusalNotice = z.output<typeof refusalNoticeSchema>;

/** Most that are kept: one is enough to prove an orderer wrong. */
const noticesMax = 20;

export interface RefusalsDependencies {
  readonly ledger: Pick<Ledger, 'chain' | 'genesis' | 'head' | 'header' | 'block' | 'get'>;
  readonly clock: Clock;
  /** Another has shown that the orderer signed a second block of a height. */
  readonly onSecondBlock: (evidence: Evidence) => void | Promise<void>;
}

/** The refused blocks of a ledger that prove its orderer wrong: those of this process, and those that others told of. */
export class Refusals {
  readonly #dependencies: RefusalsDependencies;
  readonly #notices = new Map<Hex32, RefusalNotice>();
  readonly #listeners = new Set<(notice: RefusalNotice) => void>();

  constructor(dependencies: RefusalsDependencies) {
    this.#dependencies = dependencies;
  }

  list(): readonly RefusalNotice[] {
    return [...this.#notices.values()];
  }

  /** @returns ends it */
  onNews(listener: (notice: RefusalNotice) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What this process has refused. Nothing comes of what proves nothing. */
  note({ proven, block, reason }: Evidence): void {
    if (!proven) return;
    const { header, signature } = block as Block;
    this.#keep({ v: 1, header, signature, reason: reason.slice(0, reasonChars) });
  }

  /**
   * What another says that it has refused. It counts against the block of this ledger alone: whoever has none of that
   * height yet will run what comes, and be asked again.
   * @returns whether it was news that proves something
   * @throws OrbError `invalid-request`; `bad-signature` when this ledger's orderer never signed it
   */
  async take(value: unknown): Promise<boolean> {
    const notice = parseWith(refusalNoticeSchema, value, 'refusal');
    const { header, signature } = notice;
    const { ledger, clock, onSecondBlock } = this.#dependencies;
    if (this.#notices.has(blockHash(header)) || this.#notices.size >= noticesMax) return false;
    const record = header.epoch === 1 ? firstEpoch(ledger.genesis) : await ledger.get(stateKeys.orderer(header.epoch));
    const key = (record as unknown as Epoch | undefined)?.key;
    if (header.chain !== ledger.chain || key === undefined || !isSignedBy(key, header, signature)) {
      throw new OrbError('bad-signature', { message: 'The orderer of this ledger has not signed that block.' });
    }
    const contradiction = await this.#contradictionTo(header);
    if (!contradiction) return false;
    const { ours, reason } = contradiction;
    const evidence = {
      height: header.height,
      seenAt: clock(),
      reason,
      proven: true,
      head: ledger.head,
      ours,
      block: { header, signature },
    };
    await onSecondBlock({ v: 1, chain: ledger.chain, ...evidence });
    this.#keep(notice);
    return true;
  }

  /** The own block that a signed header cannot stand beside. */
  async #contradictionTo(
    header: BlockHeader,
  ): Promise<{ readonly reason: string; readonly ours: Pick<Block, 'header' | 'signature'> } | undefined> {
    const { ledger } = this.#dependencies;
    for (const [height, hash, reason] of [
      [header.height, blockHash(header), twoBlocks],
      [header.height - 1, header.previous, otherBefore],
    ] as const) {
      const ours = await ledger.header(height);
      // Where the orderer has changed, what the one before signed above is nobody's ledger any more.
      if (!ours || blockHash(ours) === hash || ours.epoch !== header.epoch) continue;
      const { signature } = (await ledger.block(height))!;
      return { reason, ours: { header: ours, signature } };
    }
    return undefined;
  }

  #keep(notice: RefusalNotice): void {
    const hash = blockHash(notice.header);
    if (this.#notices.has(hash)) return;
    this.#notices.set(hash, notice);
    for (const listener of this.#listeners) listener(notice);
  }
}
