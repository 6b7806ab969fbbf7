import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blockHash, isOrbError, quorumOf, sha256, type BlockHeader, type Hex32, type OrdererChange } from '@orb/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openCosigner, type Cosigner } from '../finality/cosign-record.ts';
import { testSigner } from '../testing/network.ts';

/*
 * Peers that co-sign, stop, sign changes of the orderer, crash and follow whichever epoch they hear of, in any order, while
 * every orderer of every epoch goes on making blocks: whatever becomes final stands on one chain.
 */
const runs = Number(process.env['ORB_RANDOM_RUNS'] ?? 40);
const names = ['ann', 'bea', 'cid', 'dan'];
const needed = quorumOf(names.length);
const chain = 'c0'.repeat(32);

/** Bits of the peers that do something together: three or all of them more often than not. */
const most = [7, 11, 13, 14, 15, 7, 11, 13, 14, 15, 3, 5, 6, 9, 10, 12] as const;

type Act = readonly [kind: number, who: number, which: number];

const acts = fc.array(fc.tuple(fc.nat(14), fc.nat(names.length - 1), fc.nat(15)), { minLength: 20, maxLength: 60 });

/** One peer: its copy of the ledger, and what it remembers over a crash. */
class Peer {
  readonly name: string;
  readonly folder: string;
  copy: BlockHeader[];
  cosigner!: Cosigner;

  constructor(name: string, folder: string, genesis: BlockHeader) {
    this.name = name;
    this.folder = folder;
    this.copy = [genesis];
  }

  async open(): Promise<this> {
    const copy = () => this.copy;
    const ledger = {
      chain,
      get head() {
        return copy().at(-1)!;
      },
      header: async (height: number) => copy()[height],
    };
    this.cosigner = await openCosigner(this.folder, testSigner(this.name), ledger);
    return this;
  }

  get head(): BlockHeader {
    return this.copy.at(-1)!;
  }
}

/** The world: every orderer's own chain, the changes that are proposed, and who has co-signed what. */
class World {
  readonly peers: Peer[] = [];
  /** What each orderer has made, from the genesis on. Were there two of one epoch, it would be two. */
  readonly chains: BlockHeader[][] = [];
  readonly proposals: { readonly change: OrdererChange; readonly signers: Set<string>; begun: boolean }[] = [];
  readonly cosigned = new Map<Hex32, Set<string>>();
  readonly blocks = new Map<Hex32, BlockHeader>();
  #made = 0;

  static async make(folder: string): Promise<World> {
    const world = new World();
    const genesis = world.header(1, undefined);
    world.chains.push([genesis]);
    for (const name of names) {
      const own = join(folder, name);
      await mkdir(own);
      world.peers.push(await new Peer(name, own, genesis).open());
    }
    return world;
  }

  header(epoch: number, before: BlockHeader | undefined): BlockHeader {
    const made = sha256(`made ${this.#made++}`);
    const header: BlockHeader = {
      v: 1,
      chain,
      epoch,
      height: before ? before.height + 1 : 0,
      time: 0,
      previous: before ? blockHash(before) : chain,
      count: 0,
      transactions: made,
      results: made,
      state: made,
    };
    this.blocks.set(blockHash(header), header);
    return header;
  }

  async act([kind, who, which]: Act): Promise<void> {
    const peer = this.peers[who]!;
    const blocks = this.chains[which % this.chains.length]!;
    switch (kind) {
      case 0:
      case 1:
        return this.extend(blocks);
      case 2:
      case 3:
        return this.follow(peer);
      case 4:
      case 5:
        return this.cosign(peer, 1 + (which % 3));
      case 6:
        return this.propose(peer, 2 + (which % 4));
      case 7:
        return this.sign(peer, which % 4);
      case 8:
        return this.adopt(peer, blocks);
      case 9:
        return which < 8 ? void (await peer.open()) : peer.cosigner.leave(2 + (which % 4));
      case 10:
        return this.some(which, async (one) => (this.follow(one), this.cosign(one, 2)));
      case 11:
        return this.some(which, (one) => this.sign(one, who % 2));
      case 12:
        return this.some(which, async (one) => this.adopt(one, blocks));
      case 13:
        this.propose(peer, peer.head.epoch + 1 + (who % 2));
        return this.some(which, (one) => this.sign(one, 0));
      case 14: {
        const latest = this.chains.at(-1 - (who % Math.min(2, this.chains.length)))!;
        this.extend(latest);
        return this.some(which, async (one) => {
          this.adopt(one, latest);
          this.follow(one);
          await this.cosign(one, 2);
        });
      }
    }
  }

  /** Several at once do something, each as far as it may. @param which of {@link most} */
  async some(which: number, work: (peer: Peer) => Promise<void>): Promise<void> {
    const mask = most[which]!;
    for (const [i, peer] of this.peers.entries()) {
      if ((mask >> i) & 1) await refusable(() => work(peer));
    }
  }

  extend(blocks: BlockHeader[]): void {
    const last = blocks.at(-1)!;
    blocks.push(this.header(last.epoch, last));
  }

  /** Takes the next block of the epoch that it is in. */
  follow(peer: Peer): void {
    const { epoch, height } = peer.head;
    const next = this.chains
      .map((blocks) => blocks[height + 1])
      .find((one) => one?.epoch === epoch && one.previous === blockHash(peer.head));
    if (next) peer.copy.push(next);
  }

  async cosign(peer: Peer, count: number): Promise<void> {
    const { cosignatures } = await peer.cosigner.sign(peer.copy.slice(-count));
    for (const { hash } of cosignatures) {
      const signers = this.cosigned.get(hash) ?? new Set();
      this.cosigned.set(hash, signers.add(peer.name));
    }
  }

  propose(peer: Peer, epoch: number): void {
    const change = {
      v: 1 as const,
      chain,
      epoch,
      height: peer.head.height + 1,
      previous: blockHash(peer.head),
      key: sha256(`key ${this.#made++}`),
      gateway: 'https://x.test',
    };
    this.proposals.push({ change, signers: new Set(), begun: false });
  }

  async sign(peer: Peer, which: number): Promise<void> {
    const proposal = this.proposals.at(-1 - which);
    if (!proposal) return;
    await peer.cosigner.signChange(proposal.change);
    proposal.signers.add(peer.name);
    const { change } = proposal;
    if (proposal.signers.size < needed) return;
    // Enough: whoever it names begins, and could begin more than once if no peer kept to its word.
    const before = [...this.blocks.values()].find((block) => blockHash(block) === change.previous)!;
    const path = this.pathTo(before);
    if (proposal.begun) return;
    proposal.begun = true;
    this.chains.push([...path, this.header(change.epoch, before)]);
  }

  /** Goes over to an epoch that enough have signed: what it has above is given up. */
  adopt(peer: Peer, blocks: readonly BlockHeader[]): void {
    const { epoch } = blocks.at(-1)!;
    const first = blocks.find((block) => block.epoch === epoch)!;
    if (epoch <= peer.head.epoch) return;
    const before = peer.copy[first.height - 1];
    if (before && blockHash(before) === first.previous) peer.copy = [...peer.copy.slice(0, first.height), first];
  }

  pathTo(block: BlockHeader): BlockHeader[] {
    const path = [block];
    while (path[0]!.height > 0) path.unshift(this.blocks.get(path[0]!.previous)!);
    return path;
  }

  get final(): BlockHeader[] {
    return [...this.cosigned].filter(([, signers]) => signers.size >= needed).map(([hash]) => this.blocks.get(hash)!);
  }
}

/** A refusal is an answer like any other. */
async function refusable(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isOrbError(error)) throw error;
  }
}

test('whatever peers do, and whenever they crash: all that is final stands on one chain', async () => {
  let finals = 0;
  let epochs = 0;
  await fc.assert(
    fc.asyncProperty(acts, async (list) => {
      const folder = await mkdtemp(join(tmpdir(), 'orb-change-'));
      try {
        const world = await World.make(folder);
        for (const one of list) {
          await refusable(() => world.act(one));
        }
        const { final } = world;
        finals += final.length;
        if (final.some(({ epoch }) => epoch > 1)) epochs++;
        const longest = final.toSorted((a, b) => b.height - a.height)[0];
        const path = new Set(longest ? world.pathTo(longest).map(blockHash) : []);
        expect(final.filter((block) => !path.has(blockHash(block)))).toEqual([]);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    }),
    { numRuns: runs },
  );
  // A test in which nothing becomes final proves nothing.
  expect(finals).toBeGreaterThan(runs);
  expect(epochs).toBeGreaterThan(runs / 20);
}, 1_200_000);
