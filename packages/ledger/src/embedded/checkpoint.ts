import { ClassicLevel } from 'classic-level';
import { OrbError, type Block, type Json, type TransactionId } from '@orb/protocol';
import { jobBucket, lastWith, type BlockIndex, type JobsPlace } from '../block-index.ts';
import type { Place } from '../keeping.ts';

/** Up to where a checkpoint has come. */
export interface Marker {
  /** Layout of the checkpoint; another one is thrown away and built again. */
  readonly v: 1;
  readonly head: Pick<Block, 'header' | 'signature'>;
  /** Where the next frame starts in the log. */
  readonly nextOffset: number;
}

/** What has come since the last checkpoint. */
export interface Tail {
  readonly index: BlockIndex;
  readonly dirty: ReadonlyMap<string, Json | null>;
  readonly offsets: ReadonlyMap<number, number>;
  readonly marker: Marker;
}

/** How long entries are made and handed over before others may run. */
const sliceMs = 1;
/** Records of the state that one batch holds: a snapshot brings a million. */
const batchEntries = 20_000;

/*
 * Keys: `m` marker · `s/KEY` state · `t/ID` place of a transaction · `h/KEY␀PLACE` write of a key · `j/BUCKET/PLACE`
 * jobs of a bucket · `o/HEIGHT` offset in the log. Everything here can be built again from the log.
 */
export class Checkpoint {
  readonly #db: ClassicLevel;

  private constructor(db: ClassicLevel) {
    this.#db = db;
  }

  /**
   * Opens the store, which holds the lock of the whole ledger folder: the operating system lets go of it when its
   * process ends, however that happens. A store that is damaged is made anew.
   * @throws OrbError `ledger-unavailable` when another process has it open
   */
  static async open(path: string): Promise<Checkpoint> {
    try {
      return new Checkpoint(await openLevel(path));
    } catch (error) {
      if (isLocked(error)) {
        throw new OrbError('ledger-unavailable', {
          message: `The ledger in ${path} is open in another process.`,
          hint: 'Stop that process first; one folder belongs to one process.',
          cause: error,
        });
      }
      await ClassicLevel.destroy(path);
      return new Checkpoint(await openLevel(path));
    }
  }

  async marker(): Promise<Marker | undefined> {
    const text = await this.#db.get('m');
    if (text === undefined) return undefined;
    const marker = JSON.parse(text) as Marker;
    return marker.v === 1 ? marker : undefined;
  }

  async state(): Promise<Map<string, Json>> {
    const entries = new Map<string, Json>();
    for await (const [key, value] of this.#db.iterator({ gte: 's/', lt: 's0' })) entries.set(key.slice(2), JSON.parse(value) as Json);
    return entries;
  }

  /** Forgets everything, so that it can be built again from the log. */
  async clear(): Promise<void> {
    await this.#db.del('m');
    await this.#db.clear();
  }

  /**
   * Adds what has come since. The marker goes last, with all indexes; records of the state may be ahead of it after a
   * crash, which bringing the state forward by the log makes good.
   */
  async write({ index, dirty, offsets, marker }: Tail): Promise<void> {
    let batch = this.#db.batch();
    const put = (key: string, value: string): void => {
      batch.put(key, value);
    };
    let sliceEnds = performance.now() + sliceMs;
    const pause = async (): Promise<void> => {
      if (performance.now() < sliceEnds) return;
      await new Promise((resolve) => setImmediate(resolve));
      sliceEnds = performance.now() + sliceMs;
    };
    try {
      for (const [key, value] of dirty) {
        if (value === null) batch.del(`s/${key}`);
        else put(`s/${key}`, JSON.stringify(value));
        await pause();
        if (batch.length < batchEntries) continue;
        await batch.write();
        batch = this.#db.batch();
      }
      for (const [id, place] of index.transactions) {
        put(`t/${id}`, `${place.height},${place.index}`);
        await pause();
      }
      for (const [key, places] of index.writes) {
        for (const place of places) put(`h/${key}\0${placeText(place)}`, '');
        await pause();
      }
      for (const [bucket, places] of index.jobs) {
        for (const place of places) put(`j/${bucket}/${placeText(place)}`, JSON.stringify(place.sequences));
        await pause();
      }
      for (const [height, offset] of offsets) put(`o/${digits(height)}`, String(offset));
      put('m', JSON.stringify(marker));
      await batch.write();
    } catch (error) {
      await batch.close();
      throw error;
    }
  }

  async offset(height: number): Promise<number | undefined> {
    const text = await this.#db.get(`o/${digits(height)}`);
    return text === undefined ? undefined : Number(text);
  }

  async locate(id: TransactionId): Promise<Place | undefined> {
    const text = await this.#db.get(`t/${id}`);
    if (text === undefined) return undefined;
    const [height, index] = text.split(',').map(Number);
    return { height: height!, index: index! };
  }

  async writesOf(key: string, limit: number): Promise<Place[]> {
    const keys = await this.#db.keys({ gt: `h/${key}\0`, lt: `h/${key}\u0001`, limit }).all();
    return keys.map(placeAtEnd);
  }

  async jobPlace(allowance: string, sequence: number): Promise<Place | undefined> {
    const bucket = jobBucket(allowance, sequence);
    const entries = await this.#db.iterator({ gt: `j/${bucket}/`, lt: `j/${bucket}0` }).all();
    const places: JobsPlace[] = entries.map(([key, text]) => ({ ...placeAtEnd(key), sequences: JSON.parse(text) as number[] }));
    return lastWith(places, sequence);
  }

  async close(): Promise<void> {
    await this.#db.close();
  }
}

async function openLevel(path: string): Promise<ClassicLevel> {
  const db = new ClassicLevel(path, { keyEncoding: 'utf8', valueEncoding: 'utf8' });
  await db.open();
  return db;
}

function isLocked(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && cause.code === 'LEVEL_LOCKED') return true;
  }
  return false;
}

function digits(height: number): string {
  return String(height).padStart(12, '0');
}

/** A place as text that sorts as places do. */
function placeText({ height, index }: Place): string {
  return `${digits(height)}.${String(index).padStart(6, '0')}`;
}

function placeAtEnd(key: string): Place {
  const [height, index] = key.slice(-19).split('.').map(Number);
  return { height: height!, index: index! };
}
