import { readFile, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { categoryOf, type CallFrame } from './categorise.ts';

/** Self time of one process in a window of time. */
export interface ProcessProfile {
  readonly name: string;
  /** Time on the processor by V8's samples; threads of the process together. */
  readonly busyMs: number;
  /** Largest first. `top` names the functions that make most of it. */
  readonly categories: readonly { readonly category: string; readonly selfMs: number; readonly top: readonly string[] }[];
  /** The functions with the most self time. */
  readonly hottest: readonly { readonly name: string; readonly selfMs: number }[];
}

/** A file as `node --cpu-prof` writes it. Times in microseconds on the system's monotonic clock. */
export interface CpuProfile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame; readonly children?: readonly number[] }[];
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/**
 * Reads the profiles that a folder holds of the given processes, and only what happened in the window: not how they
 * started and stopped. Processes without a profile are left out.
 */
export async function readProfiles(
  folder: string,
  processes: readonly { readonly name: string; readonly pid: number }[],
  window: readonly [fromUs: number, toUs: number],
): Promise<readonly ProcessProfile[]> {
  const files = await readdir(folder);
  const profiles: ProcessProfile[] = [];
  for (const { name, pid } of processes) {
    const own = files.filter((file) => file.split('.')[3] === String(pid) && file.endsWith('.cpuprofile'));
    if (own.length === 0) continue;
    const read = await Promise.all(own.map(async (file) => JSON.parse(await readFile(join(folder, file), 'utf8')) as CpuProfile));
    profiles.push(profileOf(name, read, window));
  }
  return profiles;
}

/** Adds up the self times of one process' threads. */
export function profileOf(name: string, profiles: readonly CpuProfile[], window: readonly [number, number]): ProcessProfile {
  const byFrame = new Map<string, { readonly frame: CallFrame; selfUs: number }>();
  for (const profile of profiles) addSelfTimes(profile, window, byFrame);
  const frames = [...byFrame].map(([key, { frame, selfUs }]) => ({ name: key, category: categoryOf(frame), selfMs: selfUs / 1_000 }));
  const busy = frames.filter(({ category }) => category !== undefined).toSorted((a, b) => b.selfMs - a.selfMs);
  const categories = Map.groupBy(busy, ({ category }) => category ?? '');
  return {
    name,
    busyMs: sum(busy),
    categories: [...categories]
      .map(([category, members]) => ({ category, selfMs: sum(members), top: members.slice(0, 3).map((member) => member.name) }))
      .toSorted((a, b) => b.selfMs - a.selfMs),
    hottest: busy.slice(0, 12).map((frame) => ({ name: frame.name, selfMs: frame.selfMs })),
  };
}

function addSelfTimes(
  profile: CpuProfile,
  [fromUs, toUs]: readonly [number, number],
  into: Map<string, { readonly frame: CallFrame; selfUs: number }>,
): void {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  let atUs = profile.startTime;
  for (const [index, id] of profile.samples.entries()) {
    const deltaUs = profile.timeDeltas[index] ?? 0;
    atUs += deltaUs;
    const frame = frames.get(id);
    if (frame === undefined || atUs < fromUs || atUs > toUs) continue;
    const key = frameName(frame);
    const entry = into.get(key) ?? { frame, selfUs: 0 };
    entry.selfUs += deltaUs;
    into.set(key, entry);
  }
}

/** `function file`, short: no folder of this machine. */
function frameName({ functionName, url }: CallFrame): string {
  const file = url === '' || url.startsWith('node:') ? url : basename(url);
  return `${functionName === '' ? '(anonymous)' : functionName}${file === '' ? '' : ` ${file}`}`;
}

function sum(frames: readonly { readonly selfMs: number }[]): number {
  return frames.reduce((total, { selfMs }) => total + selfMs, 0);
}
