import { ClassicLevel } from 'classic-level';
import {
  blockHash,
  cosignBytes,
  hex32,
  hex64,
  OrbError,
  parseWith,
  verify,
  type BlockHeader,
  type Cosignature,
  type Hex32,
} from '@orb/protocol';
import { z } from 'zod';
import type { Ledger } from '../port.ts';
import type { CosignatureSink } from './cosigning.ts';
import { readPeerSet, type Peer, type PeerSet } from './peer-set.ts';

/** Co-signatures of one message: what a peer catches up by. */
export const cosignaturesPerMessage = 200;

/** What a peer sends: its co-signatures of some blocks, in ascending order of height. */
export const cosignaturesMessageSchema = z.strictObject({
  v: z.literal(1),
  key: hex32,
  cosignatures: z
    .array(z.strictObject({ height: z.int().min(0), hash: hex32, signature: hex64 }))
    .min(1)
    .max(cosignaturesPerMessage),
});
/** A message of co-signatures as read. */
export type CosignaturesMessage = z.output<typeof cosignaturesMessageSchema>;

/** How far each peer has co-signed, and what is final. */
export interface FinalityStatus extends Pick<PeerSet, 'source' | 'needed'> {
  readonly head: number;
  /** Every block up to this one is final; null when none is. */
  readonly final: number | null;
  readonly peers: readonly {
    readonly id: Hex32;
    /** The highest block that it has co-signed; null before its first. */
    readonly height: number | null;
    /** Milliseconds since its last message to this process; null before the first. */
    readonly heardMs: number | null;
  }[];
}

/** Co-signatures of a ledger, wherever they are kept. */
export interface Cosignatures {
  /** Takes a peer's co-signatures. @throws OrbError why not */
  add(value: unknown): Promise<{ readonly height: number }>;
  /** The highest block that a key has co-signed; undefined before its first. @throws OrbError `forbidden` for whoever is no peer */
  heightOf(key: Hex32): Promise<number | undefined>;
  /** The co-signatures of a block by those who are peers now. */
  of(height: number): Promise<readonly Cosignature[]>;
  status(): Promise<FinalityStatus>;
  close(): Promise<void>;
}

interface Highest {
  readonly height: number;
  readonly hash: Hex32;
}

/** Hexadecimal digits of a block's hash, which stands before what is kept for it. */
const hashChars = 64;

/**
 * Co-signatures of a ledger's blocks, kept beside it. They can be asked for again from those who made them, so they are
 * not flushed one by one.
 */
export class CosignatureBook implements Cosignatures, CosignatureSink {
  readonly #ledger: Ledger;
  readonly #db: ClassicLevel;
  readonly #heard = new Map<Hex32, number>();
  /** Highest blocks of peers that have been found in the ledger: what is in it stays in it. */
  readonly #seen = new Map<Hex32, string>();

  private constructor(ledger: Ledger, db: ClassicLevel) {
    this.#ledger = ledger;
    this.#db = db;
  }

  /** @param options.folder of this book alone; made when missing */
  static async open(options: { readonly folder: string; readonly ledger: Ledger }): Promise<CosignatureBook> {
    const db = new ClassicLevel(options.folder);
    await db.open();
    return new CosignatureBook(options.ledger, db);
  }

  /**
   * Takes a peer's co-signatures of blocks that this ledger has. All of them or none.
   * @throws OrbError `forbidden` for whoever is no peer, `not-found` for a block that is not here yet, `conflict` for one
   * that is another here, `bad-signature`
   */
  async add(value: unknown): Promise<{ readonly height: number }> {
    const { key, cosignatures } = parseWith(cosignaturesMessageSchema, value, 'cosignatures');
    await this.#requirePeer(key);
    const batch = this.#db.batch();
    let highest: Highest = { height: -1, hash: '' };
    for (const { height, hash, signature } of cosignatures) {
      checkCosignature(await this.#ledger.header(height), { height, hash, key, signature });
      batch.put(blockKey(height, key), `${hash}${signature}`);
      if (height > highest.height) highest = { height, hash };
    }
    const before = await this.#highestOf(key);
    if (before && before.height > highest.height) highest = before;
    await batch.put(peerKey(key), `${highest.hash}${highest.height}`).write();
    this.#heard.set(key, performance.now());
    return { height: highest.height };
  }

  /** The co-signatures of this process itself. */
  async send(message: CosignaturesMessage): Promise<void> {
    await this.add(message);
  }

  /** The highest block that a key has co-signed here. @throws OrbError `forbidden` for whoever is no peer */
  async heightOf(key: Hex32): Promise<number | undefined> {
    await this.#requirePeer(key);
    return (await this.#highestOf(key))?.height;
  }

  /** The co-signatures of a block by those who are peers now. */
  async of(height: number): Promise<readonly Cosignature[]> {
    const { peers } = await readPeerSet(this.#ledger);
    const keys = peers.flatMap((peer) => peer.keys);
    const [found, header] = await Promise.all([this.#db.getMany(keys.map((key) => blockKey(height, key))), this.#ledger.header(height)]);
    const hash = header && blockHash(header);
    return keys.flatMap((key, i) => (hash && found[i]?.startsWith(hash) ? [{ key, signature: found[i].slice(hashChars) }] : []));
  }

  async status(): Promise<FinalityStatus> {
    const { source, peers, needed } = await readPeerSet(this.#ledger);
    const standing = await Promise.all(peers.map(async (peer) => ({ id: peer.id, ...(await this.#standingOf(peer)) })));
    // Each block names the one before it: who has co-signed a block stands for all before it.
    const heights = standing.flatMap(({ height }) => (height === null ? [] : [height])).sort((a, b) => b - a);
    const final = source === 'none' ? null : (heights[needed - 1] ?? null);
    return { source, needed, head: this.#ledger.head.height, final, peers: standing };
  }

  async close(): Promise<void> {
    await this.#db.close();
  }

  async #requirePeer(key: Hex32): Promise<void> {
    const { peers } = await readPeerSet(this.#ledger);
    if (!peers.some(({ keys }) => keys.includes(key))) {
      throw new OrbError('forbidden', {
        message: `The key ${key.slice(0, 12)}… is not that of a peer of this ledger.`,
        hint: 'The ledger’s parameters list its peers: accounts, whose keys and super nodes co-sign. See orb ledger parameters.',
      });
    }
  }

  async #standingOf({ keys }: Peer): Promise<{ height: number | null; heardMs: number | null }> {
    const heights = (await Promise.all(keys.map((key) => this.#highestOf(key)))).flatMap((highest) => highest?.height ?? []);
    const heard = keys.flatMap((key) => this.#heard.get(key) ?? []);
    return {
      height: heights.length > 0 ? Math.max(...heights) : null,
      heardMs: heard.length > 0 ? Math.round(performance.now() - Math.max(...heard)) : null,
    };
  }

  /** The highest block that a key has co-signed, as long as it is the one that this ledger holds. */
  async #highestOf(key: Hex32): Promise<Highest | undefined> {
    const text = await this.#db.get(peerKey(key));
    if (text === undefined) return undefined;
    if (this.#seen.get(key) !== text) {
      // A ledger that was brought back from a back-up has other blocks than those that peers have signed.
      const header = await this.#ledger.header(Number(text.slice(hashChars)));
      if (!header || blockHash(header) !== text.slice(0, hashChars)) return undefined;
      this.#seen.set(key, text);
    }
    return { height: Number(text.slice(hashChars)), hash: text.slice(0, hashChars) };
  }
}

function checkCosignature(
  header: BlockHeader | undefined,
  { height, hash, key, signature }: { readonly height: number; readonly hash: Hex32; readonly key: Hex32; readonly signature: string },
): void {
  if (!header) throw new OrbError('not-found', { message: `Block ${height} is not here yet.` });
  if (blockHash(header) !== hash) {
    throw new OrbError('conflict', {
      message: `The peer ${key.slice(0, 12)}… has another block ${height} (${hash.slice(0, 12)}…) than this ledger (${blockHash(header).slice(0, 12)}…).`,
      hint: 'The orderer has shown two ledgers, or one of the two copies is damaged: compare them.',
    });
  }
  if (!verify(key, cosignBytes(header), signature)) {
    throw new OrbError('bad-signature', { message: `The co-signature of block ${height} is wrong.` });
  }
}

function blockKey(height: number, key: Hex32): string {
  return `c/${String(height).padStart(12, '0')}/${key}`;
}

function peerKey(key: Hex32): string {
  return `p/${key}`;
}
