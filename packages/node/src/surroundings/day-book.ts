import { readFileSync } from 'node:fs';
import { OrbError } from '@orb/protocol';
import { z } from 'zod';
import { replaceFile } from '../replace-file.ts';

/** Half an hour of a node's life. */
export interface DayPart {
  /** Milliseconds since 1970, a multiple of half an hour. */
  readonly fromMs: number;
  /** Seconds that it was looked at. */
  seconds: number;
  /** Of those, seconds in which it took jobs. */
  lentSeconds: number;
  /** Processor seconds of the node and its functions, all cores together. */
  ownSeconds: number;
  /** Processor seconds of everything else. */
  otherSeconds: number;
  jobs: number;
  /** Base units that the receipts ask for. */
  units: string;
}

const partMs = 1_800_000;
const partsKept = 48;
const fileSchema = z.strictObject({
  v: z.literal(1),
  parts: z
    .array(
      z.strictObject({
        fromMs: z.int().min(0),
        seconds: z.number().min(0),
        lentSeconds: z.number().min(0),
        ownSeconds: z.number().min(0),
        otherSeconds: z.number().min(0),
        jobs: z.int().min(0),
        units: z.string().regex(/^\d{1,30}$/),
      }),
    )
    .max(partsKept),
});

/** What a node noticed since the last time it looked. */
export interface Noticed {
  readonly seconds: number;
  readonly lent: boolean;
  readonly ownSeconds: number;
  readonly otherSeconds: number;
  readonly jobs: number;
  readonly units: bigint;
}

/** The last 24 hours of a node in halves of hours, kept over restarts. */
export class DayBook {
  readonly #path: string;
  readonly #nowMs: () => number;
  #parts: DayPart[];
  #saved: Promise<void> = Promise.resolve();

  /** Yesterday's figures are worth no failure: a file that cannot be read is left behind. */
  constructor({ path, nowMs }: { readonly path: string; readonly nowMs: () => number }) {
    this.#path = path;
    this.#nowMs = nowMs;
    this.#parts = readParts(path);
  }

  /** Newest last; halves of hours in which the node did not run are missing. */
  get parts(): readonly Readonly<DayPart>[] {
    const sinceMs = this.#nowMs() - partsKept * partMs;
    return this.#parts.filter(({ fromMs }) => fromMs > sinceMs);
  }

  /** @returns true when half an hour was completed by it: a time to {@link save} */
  add({ seconds, lent, ownSeconds, otherSeconds, jobs, units }: Noticed): boolean {
    const fromMs = Math.floor(this.#nowMs() / partMs) * partMs;
    let part = this.#parts.at(-1);
    const turned = part?.fromMs !== fromMs;
    if (!part || turned) {
      part = { fromMs, seconds: 0, lentSeconds: 0, ownSeconds: 0, otherSeconds: 0, jobs: 0, units: '0' };
      this.#parts = [...this.parts.filter((other) => other.fromMs !== fromMs), part].slice(-partsKept);
    }
    part.seconds += seconds;
    part.lentSeconds += lent ? seconds : 0;
    part.ownSeconds += ownSeconds;
    part.otherSeconds += otherSeconds;
    part.jobs += jobs;
    part.units = (BigInt(part.units) + units).toString();
    return turned;
  }

  /** One after the other: an older one that takes longer must not replace a newer one. */
  save(): Promise<void> {
    const saved = this.#saved.then(() => replaceFile(this.#path, JSON.stringify({ v: 1, parts: this.#parts })));
    this.#saved = saved.catch(() => undefined);
    return saved;
  }
}

function readParts(path: string): DayPart[] {
  try {
    const { success, data } = fileSchema.safeParse(JSON.parse(readFileSync(path, 'utf8')));
    return success ? data.parts : [];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return [];
    throw new OrbError('invalid-request', { message: `${path} cannot be read: ${(error as Error).message}`, cause: error });
  }
}
