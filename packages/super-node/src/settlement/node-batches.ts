import { IdTable, type Hex32, type Hex64, type NodeId } from '@orb/protocol';
import type { JobEntry } from './job-entry.ts';
import type { JournalEntry } from './journal.ts';

/** All receipts under one root of one node. */
export interface Batch {
  readonly node: NodeId;
  readonly number: number;
  readonly jobs: (JobEntry | undefined)[];
  /** The node's signature, once the rows under it are here and agree. */
  signature: Hex64 | undefined;
  /** What it covers, where that was worked out here. */
  root: Hex32 | undefined;
  provenAtMs: number;
  submitted: boolean;
}

/**
 * How far a node's batches are settled. Roots ascend on a link, and start after what the node was told is settled; so a
 * number that was passed over by a later root is void, and nothing waits for it.
 */
interface Progress {
  /** Highest number whose root has been seen. */
  highest: number;
  /** Settled ones above the first that is not. */
  readonly ahead: Set<number>;
}

/** The batches of every node that are not settled yet, and how far each node's are. */
export class NodeBatches {
  readonly #open = new Map<NodeId, IdTable<Batch>>();
  readonly #progress = new Map<NodeId, Progress>();

  get(node: NodeId, number: number): Batch | undefined {
    return this.#open.get(node)?.get(number);
  }

  /** Every open batch; of each node by number, which is the order in which its first receipts came. */
  *all(): Iterable<Batch> {
    for (const batches of this.#open.values()) yield* batches.values().sort((a, b) => a.number - b.number);
  }

  /** Puts a job at its place. */
  place(job: JobEntry, number: number, index: number): void {
    job.place = { batch: number, index };
    const batches = this.#open.get(job.node) ?? new IdTable<Batch>();
    this.#open.set(job.node, batches);
    const batch = batches.get(number) ?? {
      node: job.node,
      number,
      jobs: [],
      signature: undefined,
      root: undefined,
      provenAtMs: 0,
      submitted: false,
    };
    batches.set(number, batch);
    batch.jobs[index] ??= job;
  }

  /** Takes a job out of its batch: it has ended in another way. */
  remove({ node, place }: JobEntry): void {
    const batches = place && this.#open.get(node);
    const batch = batches?.get(place!.batch);
    if (!batch) return;
    batch.jobs[place!.index] = undefined;
    if (batch.jobs.every((job) => job === undefined)) batches!.delete(place!.batch);
  }

  /** Last batch of a node such that it and all before it are settled or void. */
  settledTo(node: NodeId): number {
    let settled = this.#progress.get(node)?.highest ?? 0;
    for (const open of this.#open.get(node)?.values() ?? []) settled = Math.min(settled, open.number - 1);
    return settled;
  }

  isSettled(node: NodeId, number: number): boolean {
    return number <= this.settledTo(node) || this.#progress.get(node)?.ahead.has(number) === true;
  }

  sawRoot(node: NodeId, number: number): void {
    const progress = this.#progressOf(node);
    progress.highest = Math.max(progress.highest, number);
  }

  /** A batch is settled. @returns its jobs */
  close(node: NodeId, number: number): readonly JobEntry[] {
    const batches = this.#open.get(node);
    const jobs = batches?.get(number)?.jobs.filter((job) => job !== undefined) ?? [];
    batches?.delete(number);
    const { ahead } = this.#progressOf(node);
    ahead.add(number);
    const settled = this.settledTo(node);
    for (const old of ahead) if (old <= settled) ahead.delete(old);
    return jobs;
  }

  /** What a rewritten journal must say of progress; jobs and signatures are not in it. */
  *journalEntries(): Iterable<JournalEntry> {
    for (const [node, { highest, ahead }] of this.#progress) {
      yield ['settled-to', node, highest];
      for (const number of ahead) yield ['closed', node, number];
    }
  }

  #progressOf(node: NodeId): Progress {
    const progress = this.#progress.get(node) ?? { highest: 0, ahead: new Set<number>() };
    this.#progress.set(node, progress);
    return progress;
  }
}

/** True when every receipt of a batch of `count` is here. */
export function isComplete(batch: Batch, count: number): boolean {
  if (batch.jobs.length !== count) return false;
  for (let i = 0; i < count; i++) if (!batch.jobs[i]) return false;
  return true;
}
