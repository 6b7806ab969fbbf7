import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { CallFrame } from '../profile/categorise.ts';
import type { CpuProfile } from '../profile/read-profiles.ts';
import type { LongTurn, TurnFile } from './turn-file.ts';

/** What held the event loop of one process while it was under load. */
export interface ProcessStalls {
  readonly name: string;
  /** All long turns by their processor time, longest first. */
  readonly turns: readonly Stall[];
  /** Length of the window, milliseconds. */
  readonly windowMs: number;
}

/** One long turn. */
export interface Stall {
  /** Processor time of the turn. */
  readonly cpuMs: number;
  /** From its first event to its end: processor, disk, and what other processes took in between. */
  readonly standingMs: number;
  /** Processor time by what it went to, largest first. */
  readonly causes: readonly (readonly [cause: string, cpuMs: number])[];
}

const collecting = 'garbage collection';

/** Flags of Node that make a process leave its turns and its profile in a folder when it ends. */
export function watchFlags(folder: string): readonly string[] {
  const module = new URL('./turn-watch.ts', import.meta.url);
  module.searchParams.set('folder', folder);
  return [`--import=${module.href}`, '--cpu-prof', '--cpu-prof-interval=500', `--cpu-prof-dir=${folder}`];
}

/** Reads what watched processes have left, and only what happened in the window. Processes that left nothing are left out. */
export async function readStalls(
  folder: string,
  processes: readonly { readonly name: string; readonly pid: number }[],
  window: readonly [fromUs: number, toUs: number],
): Promise<readonly ProcessStalls[]> {
  const files = await readdir(folder);
  const found: ProcessStalls[] = [];
  for (const { name, pid } of processes) {
    const turnsName = `turns.${pid}.json`;
    const profileName = files.find((file) => isProfileOf(pid, file));
    if (!files.includes(turnsName) || profileName === undefined) continue;
    const turns = (await readJson(join(folder, turnsName))) as TurnFile;
    const profile = (await readJson(join(folder, profileName))) as CpuProfile;
    found.push(stallsOf(name, turns, profile, window));
  }
  return found;
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8')) as unknown;
}

/** `CPU.DATE.TIME.PID.THREAD.NUMBER.cpuprofile`: only the main thread has calls to delay. */
function isProfileOf(pid: number, file: string): boolean {
  const [, , , process, thread] = file.split('.');
  return process === String(pid) && thread === '0' && file.endsWith('.cpuprofile');
}

/** Names what each long turn of a process was doing, by the samples that fell into it. */
export function stallsOf(
  name: string,
  { turns, collections }: TurnFile,
  profile: CpuProfile,
  [fromUs, toUs]: readonly [number, number],
): ProcessStalls {
  const causeOf = causesOf(profile);
  const inWindow = turns.filter(([from, to]) => from >= fromUs && to <= toUs);
  const samples = new Samples(profile);
  const stalls = inWindow.map((turn) => {
    const [from, to] = turn;
    const own = collections.filter(([start]) => start >= from && start <= to).toSorted((a, b) => b[1] - a[1]);
    return stallOf(turn, samples.between(from, to), (id) =>
      causeOf(id) === collecting ? `${collecting}, ${own[0]?.[2] ?? 'short'}` : causeOf(id),
    );
  });
  return { name, turns: stalls.toSorted((a, b) => b.cpuMs - a.cpuMs), windowMs: (toUs - fromUs) / 1_000 };
}

function stallOf(
  [, , cpuUs, standingUs]: LongTurn,
  samples: Iterable<readonly [id: number, us: number]>,
  causeOf: (id: number) => string | undefined,
): Stall {
  const sums = new Map<string, number>();
  let sampled = 0;
  for (const [id, us] of samples) {
    const cause = causeOf(id);
    if (cause === undefined) continue;
    sums.set(cause, (sums.get(cause) ?? 0) + us);
    sampled += us;
  }
  // Samples come by the wall's clock: their shares are of the processor time that the turn has really had.
  const causes = [...sums].map(([cause, us]) => [cause, ((us / sampled) * cpuUs) / 1_000] as const);
  return { cpuMs: cpuUs / 1_000, standingMs: standingUs / 1_000, causes: causes.toSorted((a, b) => b[1] - a[1]) };
}

/** The samples of a profile, which turns ask for in the order of time. */
class Samples {
  readonly #profile: CpuProfile;
  #next = 0;
  #atUs: number;

  constructor(profile: CpuProfile) {
    this.#profile = profile;
    this.#atUs = profile.startTime;
  }

  *between(fromUs: number, toUs: number): Iterable<readonly [id: number, us: number]> {
    const { samples, timeDeltas } = this.#profile;
    while (this.#next < samples.length) {
      const us = timeDeltas[this.#next] ?? 0;
      if (this.#atUs + us > toUs) return;
      this.#atUs += us;
      const id = samples[this.#next++]!;
      if (this.#atUs >= fromUs) yield [id, us];
    }
  }
}

/**
 * What a sample counts for: the collector, or else the outermost function of the project on the stack, which is where the
 * event loop (or a promise) came in. Undefined while nothing ran.
 */
function causesOf({ nodes }: CpuProfile): (id: number) => string | undefined {
  const causes = new Map<number, string | undefined>();
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const walk = (id: number, above: string | undefined): void => {
    const { callFrame, children = [] } = byId.get(id)!;
    const own = above ?? projectName(callFrame);
    causes.set(id, ownName(callFrame) ?? own ?? outsideName(callFrame));
    for (const child of children) walk(child, own);
  };
  if (nodes[0]) walk(nodes[0].id, undefined);
  return (id) => causes.get(id);
}

const ofProject = [new URL('../../packages/', import.meta.url), new URL('../', import.meta.url)].map(({ href }) => href);

function projectName({ functionName, url }: CallFrame): string | undefined {
  const href = url.startsWith('/') ? pathToFileURL(url).href : url;
  if (!ofProject.some((folder) => href.startsWith(folder)) || href.includes('/node_modules/')) return undefined;
  return `${functionName === '' ? '(anonymous)' : functionName} ${basename(href).split('?')[0]}`;
}

/** What counts for itself, whoever called it. */
function ownName({ functionName }: CallFrame): string | undefined {
  return functionName === '(garbage collector)' ? collecting : undefined;
}

function outsideName({ functionName }: CallFrame): string | undefined {
  return functionName === '(idle)' || functionName === '(root)' ? undefined : 'Node itself';
}
