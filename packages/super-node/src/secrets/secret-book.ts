import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hex32, limits, listOf, OrbError, secretName, sequence, sha256, type FunctionId, type Hex32, type NodeId } from '@orb/protocol';
import type { BlobStore } from '@orb/store';
import { z } from 'zod';

/** What an owner hands in: boxes of one number. */
export interface SecretsUpdate {
  readonly number: number;
  /** What the boxes hold, by name. */
  readonly names: readonly string[];
  readonly boxes: readonly (readonly [NodeId, Uint8Array])[];
}

/** What is kept of one function: its newest number, and the boxes of that. */
export interface BookedSecrets {
  readonly number: number;
  readonly names: readonly string[];
  /** SHA-256 of the box, by node. */
  readonly boxes: ReadonlyMap<NodeId, Hex32>;
}

const fileSchema = z.strictObject({
  v: z.literal(1),
  function: hex32,
  number: sequence,
  names: listOf(secretName, 0, limits.secrets),
  boxes: z.array(z.tuple([hex32, hex32])).max(limits.secretNodes),
});

/**
 * The sealed boxes that owners have left here for nodes, which this super node cannot open. On disk, so that nodes get them
 * when their owners are away: a file for each function names its boxes, a blob each.
 */
export class SecretBook {
  readonly #folder: string;
  readonly #boxes: BlobStore;
  readonly #functions = new Map<FunctionId, BookedSecrets>();
  /** Changes come one after the other. */
  #changing: Promise<unknown> = Promise.resolve();

  private constructor(folder: string, boxes: BlobStore) {
    this.#folder = folder;
    this.#boxes = boxes;
  }

  /** Reads the folder; what is damaged is left out, and its owner hands it in again. */
  static async open({ folder }: { readonly folder: string }, { boxes }: { readonly boxes: BlobStore }): Promise<SecretBook> {
    const book = new SecretBook(folder, boxes);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(folder).filter((file) => file.endsWith('.json'))) book.#read(join(folder, name));
    const used = new Set([...book.#functions.values()].flatMap((booked) => [...booked.boxes.values()]));
    for await (const hash of boxes.list()) if (!used.has(hash)) await boxes.delete(hash);
    return book;
  }

  get(fn: FunctionId): BookedSecrets | undefined {
    return this.#functions.get(fn);
  }

  /** A node's box; undefined when there is none, or the disk spoiled it. */
  async box(fn: FunctionId, node: NodeId): Promise<Uint8Array | undefined> {
    const hash = this.#functions.get(fn)?.boxes.get(node);
    return hash === undefined ? undefined : this.#boxes.get(hash).catch(() => undefined);
  }

  /**
   * Keeps boxes; resolves when they are durable. A higher number takes the place of all before; the same number adds to them.
   * @throws OrbError `conflict` for a lower number, or for other names under the same one; `too-large` for more nodes than one
   * function may have; `store-full`
   */
  put(fn: FunctionId, update: SecretsUpdate): Promise<void> {
    return this.#change(() => this.#put(fn, update));
  }

  /** The function has ended: so have its secrets. */
  forget(fn: FunctionId): Promise<void> {
    return this.#change(async () => {
      const before = this.#functions.get(fn);
      if (!before) return;
      this.#functions.delete(fn);
      await rm(this.#path(fn), { force: true });
      for (const hash of before.boxes.values()) await this.#boxes.delete(hash);
    });
  }

  async #put(fn: FunctionId, { number, names, boxes }: SecretsUpdate): Promise<void> {
    const before = this.#functions.get(fn);
    checkNumber(before, number, names);
    const isNew = before?.number !== number;
    const next = new Map(isNew ? [] : before.boxes);
    const replaced = isNew ? [...(before?.boxes.values() ?? [])] : [];
    for (const [node, box] of boxes) {
      const hash = sha256(box);
      const old = next.get(node);
      if (old !== undefined && old !== hash) replaced.push(old);
      next.set(node, hash);
    }
    if (next.size > limits.secretNodes)
      throw new OrbError('too-large', {
        message: `Secrets of one function are kept for ${limits.secretNodes} nodes here, not for ${next.size}.`,
      });
    for (const [, box] of boxes) await this.#boxes.put(sha256(box), box);
    await this.#write({ v: 1, function: fn, number, names: [...names], boxes: [...next] });
    this.#functions.set(fn, { number, names, boxes: next });
    const kept = new Set(next.values());
    for (const hash of replaced) if (!kept.has(hash)) await this.#boxes.delete(hash);
  }

  #read(path: string): void {
    try {
      const { function: fn, number, names, boxes } = fileSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
      this.#functions.set(fn, { number, names, boxes: new Map(boxes) });
    } catch {
      // Damaged, or a later version's.
    }
  }

  async #write(value: z.output<typeof fileSchema>): Promise<void> {
    const path = this.#path(value.function);
    const file = await open(`${path}.new`, 'w', 0o600);
    try {
      await file.writeFile(JSON.stringify(value));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.new`, path);
  }

  #path(fn: FunctionId): string {
    return join(this.#folder, `${fn}.json`);
  }

  #change<T>(work: () => Promise<T>): Promise<T> {
    const changed = this.#changing.then(work);
    this.#changing = changed.catch(() => undefined);
    return changed;
  }
}

function checkNumber(before: BookedSecrets | undefined, number: number, names: readonly string[]): void {
  if (!before || number > before.number) return;
  if (number < before.number) {
    throw new OrbError('conflict', {
      message: `Secrets number ${number} are old: this super node has number ${before.number}.`,
      details: { number: before.number },
    });
  }
  if (names.toSorted().join() !== before.names.toSorted().join()) {
    throw new OrbError('conflict', {
      message: `Secrets number ${number} are here with other names: raise the number with every change.`,
      details: { number: before.number },
    });
  }
}
