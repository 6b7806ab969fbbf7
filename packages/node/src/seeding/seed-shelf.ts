import { readFileSync } from 'node:fs';
import {
  canonical,
  hex32,
  manifestSchema,
  OrbError,
  limits,
  parseWith,
  replicaId,
  versionId,
  type AccountId,
  type FunctionId,
  type Hex32,
  type Json,
  type Manifest,
  type ReplicaId,
  type VersionId,
} from '@orb/protocol';
import type { BlobStore } from '@orb/store';
import { z } from 'zod';
import { replaceFile } from '../replace-file.ts';
import type { ControlPin } from './control-pins.ts';

/** A version that this node holds, ready to run. */
export interface SeededVersion {
  readonly replica: ReplicaId;
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
  /** Versions that may be held. @default limits.nodeReplicas */
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
  /** By function and version: two owners may publish the same bytes. */
  readonly #versions = new Map<string, SeededVersion>();
  readonly #pins = new Map<FunctionId, ControlPin>();
  /** What is on its way, by function and version. */
  readonly #reserved = new Map<string, Room>();
  #sweepLater = false;
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
      const seeded = { ...entry, replica: replicaId(entry.function, entry.version), manifest: entry.manifest as Manifest };
      if (versionId(seeded.manifest) === seeded.version && (await shelf.#store.has(seeded.manifest.code.sha256))) {
        shelf.#versions.set(shelfKey(seeded.function, seeded.version), seeded);
      }
    }
    await shelf.#deleteUnused();
    return shelf;
  }

  get versions(): IterableIterator<SeededVersion> {
    return this.#versions.values();
  }

  get(fn: FunctionId, version: VersionId): SeededVersion | undefined {
    return this.#versions.get(shelfKey(fn, version));
  }

  /** Whether some version of a function is here. */
  holds(fn: FunctionId): boolean {
    for (const seeded of this.#versions.values()) if (seeded.function === fn) return true;
    return false;
  }

  pin(fn: FunctionId): ControlPin | undefined {
    return this.#pins.get(fn);
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Makes room for a version's code until {@link add} or {@link release}; else says why there is none. */
  reserve(fn: FunctionId, version: VersionId, manifest: Pick<Manifest, 'code' | 'secrets'>): string | undefined {
    const most = this.#options.maxVersions ?? limits.nodeReplicas;
    const room = roomOf(manifest);
    const used = this.#used();
    if (used.versions >= most) return `This node holds ${most} versions, as many as it takes.`;
    if (used.secret + room.secret > limits.nodeSecretReplicas) {
      return `This node holds ${limits.nodeSecretReplicas} versions that need secrets, as many as it takes.`;
    }
    if (used.bytes + room.bytes > this.#diskBytes) {
      return `Its code has ${room.bytes} bytes; this node has ${Math.max(0, this.#diskBytes - used.bytes)} of ${this.#diskBytes} free for code.`;
    }
    this.#reserved.set(shelfKey(fn, version), room);
    return undefined;
  }

  /** Gives back the room; what could not be deleted while code was on its way goes now. */
  async release(fn: FunctionId, version: VersionId): Promise<void> {
    if (this.#reserved.delete(shelfKey(fn, version)) && this.#sweepLater) await this.#deleteUnused();
  }

  /**
   * Keeps a version and its code; resolves when both are durable. A function makes room for itself: of more versions than
   * limits.nodeFunctionVersions those go that ran longest ago.
   * @returns those that are gone
   * @throws OrbError `code-mismatch`, `store-full`, `gone` when the function was decommissioned meanwhile
   */
  async add(seeded: SeededVersion, code: Uint8Array, seen: ControlPin): Promise<readonly SeededVersion[]> {
    await this.#store.put(seeded.manifest.code.sha256, code);
    const now = this.#pins.get(seeded.function);
    if (now?.ended) throw new OrbError('gone');
    const pin = now && now.sequence > seen.sequence ? now : seen;
    this.#versions.set(shelfKey(seeded.function, seeded.version), seeded);
    this.#setPin(seeded.function, pin);
    const others = this.#byLastRun().filter((other) => other.function === seeded.function && other !== seeded);
    const gone = others.slice(0, Math.max(0, others.length + 1 - limits.nodeFunctionVersions));
    for (const { version } of gone) this.#versions.delete(shelfKey(seeded.function, version));
    await this.#save();
    this.#tell();
    if (gone.length > 0) await this.#deleteUnused();
    return gone;
  }

  /**
   * Changes the bytes of code that may be held: versions that ran longest ago make room, those that run now last.
   * @returns those that are gone
   */
  async limitDisk(bytes: number, isBusy: (seeded: SeededVersion) => boolean = () => false): Promise<readonly SeededVersion[]> {
    this.#diskBytes = bytes;
    const gone: SeededVersion[] = [];
    const byUse = this.#byLastRun();
    for (const seeded of [...byUse.filter((one) => !isBusy(one)), ...byUse.filter(isBusy)]) {
      if (this.#used().bytes <= bytes) break;
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
    for (const version of versions) this.#versions.delete(shelfKey(fn, version));
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

  /** The one that ran longest ago first; those that never did, as they came. */
  #byLastRun(): SeededVersion[] {
    return [...this.#versions.values()].sort((a, b) => (this.#ranMs.get(a) ?? 0) - (this.#ranMs.get(b) ?? 0));
  }

  #setPin(fn: FunctionId, pin: ControlPin): void {
    this.#pins.set(fn, pin);
    if (this.#pins.size <= maxPins) return;
    const held = new Set([...this.#versions.values()].map((seeded) => seeded.function));
    for (const other of this.#pins.keys()) {
      if (!held.has(other) && other !== fn) return void this.#pins.delete(other);
    }
  }

  #used(): Room & { readonly versions: number } {
    const rooms = [...Array.from(this.#versions.values(), ({ manifest }) => roomOf(manifest)), ...this.#reserved.values()];
    const sum = (of: (room: Room) => number) => rooms.reduce((total, room) => total + of(room), 0);
    return { versions: rooms.length, secret: sum(({ secret }) => secret), bytes: sum(({ bytes }) => bytes) };
  }

  /** Code that is on its way is in no list yet: nothing is deleted until it is. */
  async #deleteUnused(): Promise<void> {
    this.#sweepLater = this.#reserved.size > 0;
    if (this.#sweepLater) return;
    const used = new Set<Hex32>([...this.#versions.values()].map(({ manifest }) => manifest.code.sha256));
    for await (const sha256 of this.#store.list()) {
      if (this.#reserved.size > 0) return void (this.#sweepLater = true);
      if (!used.has(sha256)) await this.#store.delete(sha256);
    }
  }

  /** Writes the index; changes that come meanwhile are in the next write. */
  #save(): Promise<void> {
    this.#saving = this.#saving
      .catch(() => undefined)
      .then(() => {
        const index = {
          v: 1,
          versions: Array.from(this.#versions.values(), ({ replica: _, ...indexed }) => indexed),
          pins: Object.fromEntries(this.#pins),
        };
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

/** What a version takes: bytes of the disk, and a place among those that need secrets. */
interface Room {
  readonly bytes: number;
  readonly secret: number;
}

function roomOf({ code, secrets }: Pick<Manifest, 'code' | 'secrets'>): Room {
  return { bytes: code.bytes, secret: secrets.length > 0 ? 1 : 0 };
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
