import { readFileSync } from 'node:fs';
import {
  canonical,
  hex32,
  manifestSchema,
  OrbError,
  parseWith,
  versionId,
  type AccountId,
  type FunctionId,
  type Hex32,
  type Json,
  type Manifest,
  type VersionId,
} from '@orb/protocol';
import type { BlobStore } from '@orb/store';
import { z } from 'zod';
import { replaceFile } from '../replace-file.ts';
import type { ControlPin } from './control-pins.ts';

/** A version that this node holds, ready to run. */
export interface SeededVersion {
  readonly version: VersionId;
  readonly function: FunctionId;
  readonly account: AccountId;
  /** `OWNER/NAME` */
  readonly name: string;
  readonly manifest: Manifest;
}

export interface SeedShelfOptions {
  /** The index file. */
  readonly path: string;
  /** Bytes of code that may be held; changed by {@link SeedShelf.limitDisk}. */
  readonly diskBytes: number;
  /** Versions that may be held: their ids must fit one offer. One that needs secrets counts twice: those stand there too. @default 800 */
  readonly maxVersions?: number;
}

const indexSchema = z.strictObject({
  v: z.literal(1),
  versions: z.array(
    z.strictObject({ version: hex32, function: hex32, account: hex32, name: z.string().max(110), manifest: manifestSchema }),
  ),
  pins: z.record(
    hex32,
    z.strictObject({
      keys: z.array(hex32).min(1),
      recoveryKey: z.union([hex32, z.literal('')]),
      sequence: z.int().min(0),
      ended: z.boolean(),
    }),
  ),
});

/** The versions that this node seeds: their code in a store, what they are in an index that is rewritten whole. */
export class SeedShelf {
  readonly #options: SeedShelfOptions;
  #diskBytes: number;
  readonly #store: BlobStore;
  /** By function, then by version: two owners may publish the same bytes. */
  readonly #versions = new Map<FunctionId, Map<VersionId, SeededVersion>>();
  readonly #pins = new Map<FunctionId, ControlPin>();
  /** What is on its way, by function and version. */
  readonly #reserved = new Map<string, Room>();
  /** When versions ran last, on the process's clock. */
  readonly #ranMs = new WeakMap<SeededVersion, number>();
  readonly #listeners = new Set<() => void>();
  #saving: Promise<void> = Promise.resolve();

  private constructor(options: SeedShelfOptions, store: BlobStore) {
    this.#options = options;
    this.#diskBytes = options.diskBytes;
    this.#store = store;
  }

  /**
   * Opens the shelf. Versions whose code is gone are left out; code that no version names is deleted.
   * @throws OrbError `invalid-request` when the index cannot be read
   */
  static async open(options: SeedShelfOptions, dependencies: { readonly store: BlobStore }): Promise<SeedShelf> {
    const shelf = new SeedShelf(options, dependencies.store);
    const { versions, pins } = readIndex(options.path);
    for (const [fn, pin] of Object.entries(pins)) shelf.#pins.set(fn, pin);
    for (const entry of versions) {
      const seeded = { ...entry, manifest: entry.manifest as Manifest };
      if (versionId(seeded.manifest) === seeded.version && (await shelf.#store.has(seeded.manifest.code.sha256))) {
        shelf.#hold(seeded);
      }
    }
    await shelf.#deleteUnused();
    return shelf;
  }

  get versions(): Iterable<SeededVersion> {
    return this.#all();
  }

  get(fn: FunctionId, version: VersionId): SeededVersion | undefined {
    return this.#versions.get(fn)?.get(version);
  }

  /** Whether some version of a function is here. */
  holds(fn: FunctionId): boolean {
    return this.#versions.has(fn);
  }

  pin(fn: FunctionId): ControlPin | undefined {
    return this.#pins.get(fn);
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Makes room for a version's code until {@link add} or {@link release}; else says why there is none. */
  reserve(fn: FunctionId, version: VersionId, manifest: Pick<Manifest, 'code' | 'secrets'>): string | undefined {
    const most = this.#options.maxVersions ?? 800;
    const { bytes, places } = roomOf(manifest);
    if (this.#usedPlaces() + places > most) return `This node holds ${most} versions, as many as it takes.`;
    const used = this.#usedBytes();
    if (used + bytes > this.#diskBytes) {
      return `Its code has ${bytes} bytes; this node has ${Math.max(0, this.#diskBytes - used)} of ${this.#diskBytes} free for code.`;
    }
    this.#reserved.set(shelfKey(fn, version), { bytes, places });
    return undefined;
  }

  release(fn: FunctionId, version: VersionId): void {
    this.#reserved.delete(shelfKey(fn, version));
  }

  /**
   * Keeps a version and its code; resolves when both are durable.
   * @throws OrbError `code-mismatch`, `store-full`, `gone` when the function was decommissioned meanwhile
   */
  async add(seeded: SeededVersion, code: Uint8Array, seen: ControlPin): Promise<void> {
    await this.#store.put(seeded.manifest.code.sha256, code);
    const now = this.#pins.get(seeded.function);
    if (now?.ended) throw new OrbError('gone');
    const pin = now && now.sequence > seen.sequence ? now : seen;
    this.#hold(seeded);
    this.#setPin(seeded.function, pin);
    await this.#save();
    this.#tell();
  }

  /**
   * Changes the bytes of code that may be held: versions that ran longest ago make room, those that run now last.
   * @returns those that are gone
   */
  async limitDisk(bytes: number, isBusy: (seeded: SeededVersion) => boolean = () => false): Promise<readonly SeededVersion[]> {
    this.#diskBytes = bytes;
    const gone: SeededVersion[] = [];
    const usedAt = (seeded: SeededVersion) => (isBusy(seeded) ? Number.POSITIVE_INFINITY : (this.#ranMs.get(seeded) ?? 0));
    // Two that run now are alike.
    const byUse = [...this.#all()].sort((a, b) => usedAt(a) - usedAt(b) || 0);
    for (const seeded of byUse) {
      if (this.#usedBytes() <= bytes) break;
      gone.push(seeded);
      await this.remove(seeded.function, [seeded.version]);
    }
    return gone;
  }

  /** A job of this version begins to run. */
  ran(seeded: SeededVersion): void {
    this.#ranMs.set(seeded, performance.now());
  }

  /** Remembers what a function's owner said last. */
  async keepPin(fn: FunctionId, pin: ControlPin): Promise<void> {
    this.#setPin(fn, pin);
    await this.#save();
  }

  /** Forgets versions and their code. */
  async remove(fn: FunctionId, versions: readonly VersionId[]): Promise<void> {
    const held = this.#versions.get(fn);
    for (const version of versions) held?.delete(version);
    if (held?.size === 0) this.#versions.delete(fn);
    this.#tell();
    await this.#save();
    await this.#deleteUnused();
  }

  /** The code of a version. @throws OrbError `code-mismatch` when the disk spoiled it, `not-found` */
  async code({ manifest }: SeededVersion): Promise<Uint8Array> {
    const code = await this.#store.get(manifest.code.sha256);
    if (!code) throw new OrbError('not-found', { message: 'The code is no longer on this node.' });
    return code;
  }

  #hold(seeded: SeededVersion): void {
    const held = this.#versions.get(seeded.function) ?? new Map<VersionId, SeededVersion>();
    this.#versions.set(seeded.function, held.set(seeded.version, seeded));
  }

  *#all(): Generator<SeededVersion> {
    for (const versions of this.#versions.values()) yield* versions.values();
  }

  #setPin(fn: FunctionId, pin: ControlPin): void {
    this.#pins.set(fn, pin);
    if (this.#pins.size <= maxPins) return;
    for (const other of this.#pins.keys()) {
      if (!this.#versions.has(other) && other !== fn) return void this.#pins.delete(other);
    }
  }

  #usedBytes(): number {
    let bytes = 0;
    for (const { manifest } of this.#all()) bytes += manifest.code.bytes;
    for (const reserved of this.#reserved.values()) bytes += reserved.bytes;
    return bytes;
  }

  #usedPlaces(): number {
    let used = 0;
    for (const { manifest } of this.#all()) used += roomOf(manifest).places;
    for (const { places } of this.#reserved.values()) used += places;
    return used;
  }

  async #deleteUnused(): Promise<void> {
    const used = new Set<Hex32>([...this.#all()].map(({ manifest }) => manifest.code.sha256));
    for await (const sha256 of this.#store.list()) {
      if (!used.has(sha256) && this.#reserved.size === 0) await this.#store.delete(sha256);
    }
  }

  /** Writes the index; changes that come meanwhile are in the next write. */
  #save(): Promise<void> {
    this.#saving = this.#saving
      .catch(() => undefined)
      .then(() => {
        const index = { v: 1, versions: [...this.#all()], pins: Object.fromEntries(this.#pins) };
        return replaceFile(this.#options.path, canonical(index as unknown as Json));
      });
    return this.#saving;
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Functions whose authority is remembered; the oldest without a version here goes first. */
const maxPins = 10_000;

/** What a version takes: bytes of the disk, and places in an offer. */
interface Room {
  readonly bytes: number;
  readonly places: number;
}

function roomOf({ code, secrets }: Pick<Manifest, 'code' | 'secrets'>): Room {
  return { bytes: code.bytes, places: secrets.length > 0 ? 2 : 1 };
}

function shelfKey(fn: FunctionId, version: VersionId): string {
  return `${fn}/${version}`;
}

function readIndex(path: string): z.output<typeof indexSchema> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return { v: 1, versions: [], pins: {} };
    throw new OrbError('invalid-request', { message: `${path} cannot be read: ${(cause as Error).message}`, cause });
  }
  try {
    return parseWith(indexSchema, JSON.parse(text), 'index');
  } catch (cause) {
    throw new OrbError('invalid-request', {
      message: `${path}, the list of seeded versions, is damaged: ${(cause as Error).message}`,
      hint: 'Move it away: the node then starts without versions and is asked to seed again.',
      cause,
    });
  }
}
