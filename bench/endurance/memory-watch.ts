import { lineThrough } from '../measure/statistics.ts';
import { resident, type ProcessUnderTest } from '../measure/processes.ts';

/** Memory of one process over time. */
export interface MemoryTrack {
  readonly role: string;
  readonly pid: number;
  /** Its own, without the pages of files, MiB. */
  readonly samples: readonly (readonly [atMs: number, mib: number])[];
  /** Pages of files beside that, at the first sample and at the last. */
  readonly fileMiB?: readonly [first: number, last: number];
}

/** How the memory of one process went. */
export interface MemoryTrend {
  readonly role: string;
  readonly pid: number;
  /** Means of the first minute and of the last. */
  readonly firstMiB: number;
  readonly lastMiB: number;
  /** What the line nearest to the samples rises from its beginning to its end, and what it may. */
  readonly riseMiB: number;
  readonly mayRiseMiB: number;
  readonly mibPerHour: number;
  readonly flat: boolean;
  /** Pages of files beside that, first and last. */
  readonly fileMiB?: readonly [first: number, last: number];
}

/** Samples the memory of processes; those that come later are watched from then on. */
export class MemoryWatch {
  readonly #processes: () => readonly ProcessUnderTest[];
  readonly #tracks = new Map<number, { role: string; pid: number; samples: [number, number][]; fileMiB: [number, number] }>();
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout;

  constructor(processes: () => readonly ProcessUnderTest[], everyMs: number) {
    this.#processes = processes;
    this.#timer = setInterval(() => this.look(), everyMs);
    this.look();
  }

  look(): void {
    for (const { role, pid } of this.#processes()) {
      const memory = resident(pid);
      if (!memory) continue;
      const { ownMiB, fileMiB } = memory;
      const track = this.#tracks.get(pid) ?? { role, pid, samples: [], fileMiB: [fileMiB, fileMiB] };
      this.#tracks.set(pid, track);
      track.samples.push([performance.now() - this.#startedAt, ownMiB]);
      track.fileMiB[1] = fileMiB;
    }
  }

  stop(): readonly MemoryTrack[] {
    clearInterval(this.#timer);
    return [...this.#tracks.values()];
  }
}

/** Warm-up of compilers and caches is no growth: this part of the samples is not looked at. */
const warmUpPart = 0.2;
/** What a rise over the whole of the rest must stay below: the larger of the two. */
const flatPart = 0.05;
const flatMiB = 8;
const fewestSamples = 5;

/**
 * Whether memory was flat: the straight line nearest (least squares) to the samples after the first fifth rises by less
 * than 5 % of their mean, or 8 MiB where that is more, from its beginning to its end. A collector's saw-tooth leaves such a
 * line level; a leak does not. Processes that were there too briefly to say have no trend.
 * @param partMs length of the first and the last part whose means are told, warm-up included
 */
export function trendsOf(tracks: readonly MemoryTrack[], partMs: number): readonly MemoryTrend[] {
  const endMs = Math.max(...tracks.flatMap(({ samples }) => samples.at(-1)?.[0] ?? 0));
  return tracks.flatMap(({ role, pid, samples, fileMiB }) => {
    const late = samples.filter(([atMs]) => atMs >= endMs * warmUpPart);
    const first = late[0]?.[0] ?? 0;
    const last = late.at(-1)?.[0] ?? 0;
    if (late.length < fewestSamples || last - first < endMs / 2) return [];
    const { slope, at } = lineThrough(late);
    const riseMiB = at(last) - at(first);
    const mayRiseMiB = Math.max(flatMiB, (flatPart * (at(first) + at(last))) / 2);
    return [
      {
        role,
        pid,
        firstMiB: meanOf(samples.filter(([atMs]) => atMs <= samples[0]![0] + partMs)),
        lastMiB: meanOf(samples.filter(([atMs]) => atMs >= last - partMs)),
        riseMiB,
        mayRiseMiB,
        mibPerHour: slope * 3_600_000,
        flat: riseMiB < mayRiseMiB,
        ...(fileMiB && { fileMiB }),
      },
    ];
  });
}

function meanOf(samples: MemoryTrack['samples']): number {
  return samples.reduce((sum, [, mib]) => sum + mib, 0) / samples.length;
}
