import { blockHash, blockHeaderSchema, hex64, OrbError, parseWith, type Block } from '@orb/protocol';
import { z } from 'zod';
import type { Ledger } from '../port.ts';
import { isSignedBy } from '../re-execute.ts';
import type { Evidence } from './evidence.ts';

/**
 * What peers tell each other of a block that was refused: no more than the orderer's own signature proves. Whoever has
 * another block of that height needs nothing else; whoever has none runs what comes by itself.
 */
export const refusalNoticeSchema = z.strictObject({
  v: z.literal(1),
  header: blockHeaderSchema,
  signature: hex64,
  /** Completes the sentence "Block 7 is refused: …". The word of whoever says it. */
  reason: z.string().max(500),
});
/** A notice of a refused block as read. */
export type RefusalNotice = z.output<typeof refusalNoticeSchema>;

/** Most that are kept: one is enough to prove an orderer wrong, and anybody may send them. */
const noticesMax = 20;

export interface RefusalsDependencies {
  readonly ledger: Pick<Ledger, 'chain' | 'genesis' | 'header' | 'block'>;
  /** The orderer has signed another block than the one that this ledger holds. */
  readonly onSecondBlock: (notice: RefusalNotice, ours: Pick<Block, 'header' | 'signature'>) => void | Promise<void>;
  /** The block is right here. @param notice who sent it is wrong, or this copy is */
  readonly onDispute?: (notice: RefusalNotice) => void;
}

/** The refused blocks of a ledger that this process knows of, its own and those that others told. */
export class Refusals {
  readonly #dependencies: RefusalsDependencies;
  readonly #notices = new Map<string, RefusalNotice>();

  constructor(dependencies: RefusalsDependencies) {
    this.#dependencies = dependencies;
  }

  /** Newest last. */
  list(): readonly RefusalNotice[] {
    return [...this.#notices.values()];
  }

  /** What this process has refused itself. Nothing comes of what proves nothing. */
  note({ proven, block, reason }: Evidence): RefusalNotice | undefined {
    if (!proven) return undefined;
    const { header, signature } = block as Block;
    const notice = { v: 1 as const, header, signature, reason: reason.slice(0, 500) };
    this.#keep(notice);
    return notice;
  }

  /**
   * What another says that it has refused.
   * @returns whether it was news that proves something: then others should hear of it
   * @throws OrbError `invalid-request`; `bad-signature` when this ledger's orderer never signed it
   */
  async take(value: unknown): Promise<boolean> {
    const notice = parseWith(refusalNoticeSchema, value, 'refusal');
    const { header, signature } = notice;
    const { ledger, onSecondBlock, onDispute } = this.#dependencies;
    if (this.#notices.has(blockHash(header))) return false;
    if (header.chain !== ledger.chain || !isSignedBy(ledger.genesis.ordererKey, header, signature)) {
      throw new OrbError('bad-signature', { message: 'The orderer of this ledger has not signed that block.' });
    }
    const ours = await ledger.header(header.height);
    if (ours && blockHash(ours) === blockHash(header)) {
      onDispute?.(notice);
      return false;
    }
    this.#keep(notice);
    const block = ours && (await ledger.block(header.height));
    if (block) await onSecondBlock(notice, { header: block.header, signature: block.signature });
    return true;
  }

  #keep(notice: RefusalNotice): void {
    if (this.#notices.size < noticesMax) this.#notices.set(blockHash(notice.header), notice);
  }
}
