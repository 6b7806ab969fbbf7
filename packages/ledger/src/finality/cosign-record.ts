import { join } from 'node:path';
import {
  blockHash,
  cosignBytes,
  hex32,
  OrbError,
  ordererChangeBytes,
  parseWith,
  sha256,
  signOrdererChange,
  type BlockHeader,
  type Hex32,
  type Hex64,
  type OrdererChange,
  type Signer,
} from '@orb/protocol';
import { z } from 'zod';
import { readIfThere, writeWhole } from '../embedded/folder.ts';
import type { Ledger } from '../port.ts';
import type { CosignaturesMessage } from './cosignature-book.ts';

const fileName = 'cosigned.json';

/** Of a peer that knows one epoch alone: what every version of before reads. */
const firstSchema = z.strictObject({ v: z.literal(1), chain: hex32, key: hex32, height: z.int().min(0), hash: hex32 });
const recordSchema = z.strictObject({
  v: z.literal(2),
  chain: hex32,
  key: hex32,
  /** The highest block that was signed. */
  last: z.strictObject({ epoch: z.int().min(1), height: z.int().min(0), hash: hex32 }).nullable(),
  /**
   * Nothing is signed any more of an epoch before `epoch`, but what leads to the block before `height`: its hash is
   * `previous`. `change`: hash of the change of the orderer that was signed for it, if one was.
   */
  left: z.strictObject({ epoch: z.int().min(2), height: z.int().min(0), previous: hex32, change: hex32.nullable() }).nullable(),
});
type CosignRecord = z.output<typeof recordSchema>;

/** What a peer has co-signed, and what it has promised not to. */
export type CosignStanding = Pick<CosignRecord, 'last' | 'left'>;

/** Co-signs blocks of a ledger. */
export interface Cosigner {
  readonly key: Hex32;
  readonly standing: CosignStanding;
  /**
   * Co-signs blocks of the own copy, in ascending order; fewer where a promise ends it. A signature leaves only after the
   * highest one is on the disk, and only while the copy still holds what was signed before, or has gone on from below it in
   * a later epoch: so no peer ever signs two blocks of one height of one epoch, whatever crash or back-up lies in between.
   * @throws OrbError `ledger-unavailable` while the copy has not reached what was signed before, or nothing may be signed;
   * `ledger-corrupt` when it has another block there
   */
  sign(headers: readonly BlockHeader[]): Promise<CosignaturesMessage>;
  /** Promises to sign nothing more of an epoch before one. */
  leave(epoch: number): Promise<void>;
  /**
   * Signs a change of the orderer, and promises what follows from it.
   * @throws OrbError `conflict` when something above it, or another change to its epoch, has been signed;
   * `ledger-unavailable` while the copy has not reached the block before it
   */
  signChange(change: OrdererChange): Promise<Hex64>;
}

/**
 * Opens the memory of what a key has co-signed: `cosigned.json` in a folder. A key belongs to one such folder: two would
 * not know of each other.
 * @throws OrbError `ledger-corrupt` when the file is damaged, `forbidden` when it is another key's
 */
export async function openCosigner(folder: string, signer: Signer, ledger: Pick<Ledger, 'chain' | 'head' | 'header'>): Promise<Cosigner> {
  const found = await readRecord(join(folder, fileName));
  if (found && (found.key !== signer.publicKey || found.chain !== ledger.chain)) {
    throw new OrbError('forbidden', {
      message: `${join(folder, fileName)} is what another key (${found.key.slice(0, 12)}…) has co-signed.`,
      hint: 'Start with that key, or with another folder.',
    });
  }
  return new KeptCosigner(folder, signer, ledger, found ?? { v: 2, chain: ledger.chain, key: signer.publicKey, last: null, left: null });
}

class KeptCosigner implements Cosigner {
  readonly key: Hex32;
  readonly #folder: string;
  readonly #signer: Signer;
  readonly #ledger: Pick<Ledger, 'head' | 'header'>;
  #record: CosignRecord;
  /** A copy only grows while it is open: what has been seen in it once stays in it. */
  #checked = false;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(folder: string, signer: Signer, ledger: Pick<Ledger, 'head' | 'header'>, record: CosignRecord) {
    this.key = signer.publicKey;
    this.#folder = folder;
    this.#signer = signer;
    this.#ledger = ledger;
    this.#record = record;
  }

  get standing(): CosignStanding {
    return this.#record;
  }

  sign(headers: readonly BlockHeader[]): Promise<CosignaturesMessage> {
    return this.#alone(async () => {
      if (!this.#checked) await this.#checkStill();
      this.#checked = true;
      const allowed = await this.#allowed(headers);
      const newest = allowed.at(-1)!;
      const { last } = this.#record;
      const { epoch, height } = newest;
      // Ever upwards, and never to an epoch that is over.
      if (!last || epoch > last.epoch || height > last.height) await this.#keep({ last: { epoch, height, hash: blockHash(newest) } });
      const cosignatures = allowed.map((header) => ({
        height: header.height,
        hash: blockHash(header),
        signature: this.#signer.sign(cosignBytes(header)),
      }));
      return { v: 1, key: this.key, cosignatures };
    });
  }

  leave(epoch: number): Promise<void> {
    return this.#alone(async () => {
      const { last, left } = this.#record;
      if (left && left.epoch >= epoch) return;
      await this.#keep({ left: { epoch, height: last ? last.height + 1 : 0, previous: last?.hash ?? this.#record.chain, change: null } });
    });
  }

  signChange(change: OrdererChange): Promise<Hex64> {
    return this.#alone(async () => {
      const { last, left } = this.#record;
      const hash = sha256(ordererChangeBytes(change));
      const { epoch, height, previous } = change;
      if (left?.change !== hash) {
        const begun = Math.max(last?.epoch ?? 1, this.#ledger.head.epoch);
        if (begun >= epoch) {
          throw new OrbError('conflict', {
            message: `Epoch ${begun} has begun already: no change leads to epoch ${epoch} any more.`,
            hint: 'Look at who orders now: orb ledger orderer show',
          });
        }
        if (left && (left.epoch > epoch || (left.epoch === epoch && left.change !== null))) {
          throw new OrbError('conflict', {
            message: `This peer has signed another change of the orderer, to epoch ${left.epoch}.`,
            hint: `Propose one to epoch ${left.epoch + 1}, once that one is given up: orb ledger orderer propose --epoch ${left.epoch + 1}`,
          });
        }
        if (last && last.height >= height) {
          throw new OrbError('conflict', {
            message: `This peer has co-signed block ${last.height}: the new orderer cannot begin with block ${height}.`,
            hint: 'Propose it again, from a copy that has that block: orb ledger orderer propose',
            details: { height: last.height },
          });
        }
        await this.#requireBlock(height - 1, previous);
        await this.#keep({ left: { epoch, height, previous, change: hash } });
      }
      return signOrdererChange(change, this.#signer);
    });
  }

  /** One after the other: a promise that is being written down holds already. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => undefined);
    return done;
  }

  async #keep(change: Partial<CosignStanding>): Promise<void> {
    const record = { ...this.#record, ...change };
    await writeWhole(this.#folder, fileName, JSON.stringify(firstForm(record) ?? record));
    this.#record = record;
  }

  /** What no promise forbids of some blocks: those from the first on, up to one that it forbids. */
  async #allowed(headers: readonly BlockHeader[]): Promise<readonly BlockHeader[]> {
    const { left, last } = this.#record;
    const replaced = last !== null && !(await this.#holds(last.height, last.hash));
    const leads = left !== null && (await this.#holds(left.height - 1, left.previous));
    const isForbidden = ({ epoch, height }: BlockHeader) =>
      (left !== null && epoch < left.epoch && !(leads && height < left.height)) || (replaced && epoch <= last.epoch);
    const from = replaced ? headers.findIndex((header) => !isForbidden(header)) : 0;
    const end = headers.findIndex((header, i) => i >= from && isForbidden(header));
    const allowed = from < 0 ? [] : headers.slice(from, end < 0 ? undefined : end);
    if (allowed.length > 0) return allowed;
    throw new OrbError('ledger-unavailable', {
      message: left
        ? `This peer signs nothing more of an epoch before ${left.epoch} from block ${left.height} on: the orderer is being changed.`
        : `This peer has nothing to sign above block ${last?.height ?? 0}.`,
    });
  }

  /** The copy must hold what was signed last: then everything else in it is before that, or follows it. */
  async #checkStill(): Promise<void> {
    const { last } = this.#record;
    if (!last) return;
    const header = await this.#ledger.header(last.height);
    // Enough peers have agreed where the next epoch begins: nothing of this one was final above.
    if (this.#ledger.head.epoch > last.epoch) return;
    if (!header) {
      throw new OrbError('ledger-unavailable', {
        message: `This peer has co-signed up to block ${last.height}; its copy stands at ${this.#ledger.head.height} and has to catch up first.`,
      });
    }
    if (blockHash(header) !== last.hash) {
      throw new OrbError('ledger-corrupt', {
        message: `This peer has co-signed another block ${last.height} (${last.hash.slice(0, 12)}…) than the one that its copy holds now. It signs no more.`,
        hint: 'The orderer has made two blocks of one height. Keep cosigned.json, and show it to the other peers.',
        details: { height: last.height },
      });
    }
  }

  async #requireBlock(height: number, hash: Hex32): Promise<void> {
    const header = await this.#ledger.header(height);
    if (!header) {
      throw new OrbError('ledger-unavailable', {
        message: `The change follows block ${height}; this copy stands at ${this.#ledger.head.height} and has to catch up first.`,
        retryAfterMs: 500,
      });
    }
    if (blockHash(header) === hash) return;
    throw new OrbError('conflict', {
      message: `The change follows another block ${height} (${hash.slice(0, 12)}…) than the one that this copy holds (${blockHash(header).slice(0, 12)}…).`,
      hint: 'Compare the two: the orderer may have signed both. Propose from a copy that most peers agree with.',
    });
  }

  async #holds(height: number, hash: Hex32): Promise<boolean> {
    const header = height < 0 ? undefined : await this.#ledger.header(height);
    return header !== undefined && blockHash(header) === hash;
  }
}

/** The form of before, where it says all. */
function firstForm({ chain, key, last, left }: CosignRecord): z.output<typeof firstSchema> | undefined {
  return last?.epoch === 1 && left === null ? { v: 1, chain, key, height: last.height, hash: last.hash } : undefined;
}

async function readRecord(path: string): Promise<CosignRecord | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  try {
    const record = parseWith(z.discriminatedUnion('v', [firstSchema, recordSchema]), JSON.parse(text), path);
    if (record.v === 2) return record;
    const { chain, key, height, hash } = record;
    return { v: 2, chain, key, last: { epoch: 1, height, hash }, left: null };
  } catch (cause) {
    throw new OrbError('ledger-corrupt', {
      message: `${path} is damaged, and without it this peer could sign two blocks of one height.`,
      hint: 'Bring it back from a back-up, or start a peer with a new key.',
      cause,
    });
  }
}
