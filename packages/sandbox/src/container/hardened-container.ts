import type { ContainerCreateOptions, ContainerInspectInfo, HostConfig, ImageInspectInfo } from 'dockerode';
import { OrbError } from '@orb/protocol';
import type { HealthCheck, ImageProgram, LentLimits } from '../port.ts';

/** What differs from one container of ours to the next; everything else is the same for all and cannot be asked for. */
export interface ContainerPlan {
  /** The engine's id of the image. */
  readonly image: string;
  readonly owner: string;
  readonly user: string;
  readonly memoryMiB: number;
  readonly cpus: number;
  /** The processors that it may run on, such as `6,7`; every one where undefined. */
  readonly processors?: string;
  /** Beside the owner's own programs. */
  readonly priority: LentLimits['priority'];
  readonly pids: number;
  /** Directories that can be written, in memory, each of `tmpMiB`. */
  readonly writable: readonly string[];
  readonly tmpMiB: number;
  readonly env: readonly string[];
  /** The command; none to run the image's own. */
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly stdin: boolean;
  /** CPU seconds of each process; none for one that is kept. */
  readonly cpuSeconds?: number;
  readonly runtime?: string;
  /** The helper's container whose empty network and process tree it joins. */
  readonly beside?: string;
  /** A process of the engine's that takes in orphans, as first process. */
  readonly init?: boolean;
  readonly autoRemove?: boolean;
}

export const ownerLabel = 'orb.owner';
/** Nobody in most systems; the helper is somebody else, so that neither can signal or trace the other. */
export const functionUser = '65534:65534';
export const relayUser = '65533:65533';

const mebibyte = 1_048_576;
const openFiles = 1_024;

/**
 * A container of the Docker Engine API with every wall that it has: no capabilities, no new privileges, the engine's
 * seccomp filter (its default, which only naming another one can switch off), a root that cannot be written, bounded
 * memory without swap, processor, processes and files, no network, no log on disk, no device, no mount of the host's.
 */
export function hardenedContainer(plan: ContainerPlan): ContainerCreateOptions {
  return {
    Image: plan.image,
    User: plan.user,
    Labels: { [ownerLabel]: plan.owner },
    Env: [...plan.env],
    ...(plan.command && { Cmd: [...plan.command] }),
    ...(plan.entrypoint && { Entrypoint: [...plan.entrypoint] }),
    ...(!plan.beside && { Hostname: 'fn' }),
    // The image's own check would run commands at will.
    Healthcheck: { Test: ['NONE'] },
    AttachStdin: plan.stdin,
    AttachStdout: true,
    AttachStderr: true,
    OpenStdin: plan.stdin,
    StdinOnce: plan.stdin,
    Tty: false,
    HostConfig: hostConfig(plan),
  };
}

function hostConfig(plan: ContainerPlan): HostConfig {
  const memory = plan.memoryMiB * mebibyte;
  // runc gives the mount the mode that the directory has in the image: only its owner can be relied on.
  const [uid, gid] = plan.user.split(':');
  const tmpfs = `rw,noexec,nosuid,nodev,mode=1777,uid=${uid},gid=${gid},size=${plan.tmpMiB}m,nr_inodes=16384`;
  const ulimit = (name: string, value: number) => ({ Name: name, Soft: value, Hard: value });
  return {
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges:true'],
    Privileged: false,
    ReadonlyRootfs: true,
    Tmpfs: Object.fromEntries(plan.writable.map((path) => [path, tmpfs])),
    ShmSize: 16 * mebibyte,
    NetworkMode: plan.beside ? `container:${plan.beside}` : 'none',
    PidMode: plan.beside ? `container:${plan.beside}` : '',
    IpcMode: 'private',
    Memory: memory,
    MemorySwap: memory,
    NanoCpus: Math.round(plan.cpus * 1e9),
    ...(plan.processors !== undefined && { CpusetCpus: plan.processors }),
    // The lowest weights there are: the owner's own programs come first. Engines without the second leave it out.
    ...(plan.priority === 'lowest' && { CpuShares: 2, BlkioWeight: 10 }),
    PidsLimit: plan.pids,
    // When the whole computer runs short, a function goes before anything of the owner's.
    OomScoreAdj: 1_000,
    Ulimits: [
      ulimit('core', 0),
      ulimit('nofile', openFiles),
      ulimit('memlock', 65_536),
      ...(plan.cpuSeconds === undefined ? [] : [ulimit('cpu', plan.cpuSeconds)]),
    ],
    // Nothing is written to the owner's disk, however much is printed.
    LogConfig: { Type: 'none', Config: {} },
    RestartPolicy: { Name: 'no' },
    AutoRemove: plan.autoRemove ?? false,
    ...(plan.init && { Init: true }),
    ...(plan.runtime && { Runtime: plan.runtime }),
  };
}

/** What of an image's own configuration is followed. */
export interface ImageFacts {
  readonly id: string;
  readonly user: string;
  readonly writable: readonly string[];
  readonly command: readonly string[];
  readonly entrypoint: readonly string[];
  /** The one port that it says it serves on, else 8080. */
  readonly port: number;
  /** How its server is asked whether it is well; undefined where the image does not say. */
  readonly health?: HealthCheck;
}

/** Labels of an image: a path that answers 2xx or 3xx while the server is well, and every how many seconds it is asked. */
const healthLabels = { path: 'orb.health', everySeconds: 'orb.health.interval' } as const;

const maxVolumes = 8;

/** @throws OrbError `load-failed` for an image that cannot be run here */
export function readImage(info: ImageInspectInfo): ImageFacts {
  const { Config: config, Os: os } = info;
  const fail = (why: string): never => {
    throw new OrbError('load-failed', { message: `The image cannot be run: ${why}.` });
  };
  if (os !== 'linux') fail(`it is made for ${String(os).slice(0, 32)}`);
  const volumes = Object.keys(config?.Volumes ?? {});
  if (volumes.length > maxVolumes) fail(`it declares ${volumes.length} volumes; the limit is ${maxVolumes}`);
  for (const volume of volumes) if (!isHarmlessVolume(volume)) fail(`it declares a volume at ${JSON.stringify(volume.slice(0, 100))}`);
  const command = wordsOf(config?.Cmd);
  const entrypoint = wordsOf(config?.Entrypoint);
  if (command.length + entrypoint.length === 0) fail('it names no command');
  return {
    id: info.Id,
    user: userOf(config?.User ?? ''),
    writable: ['/tmp', ...volumes.filter((path) => path !== '/tmp')],
    command,
    entrypoint,
    port: portOf(config?.ExposedPorts),
    ...healthOf(config?.Labels ?? {}, fail),
  };
}

function healthOf(labels: Readonly<Record<string, string>>, fail: (why: string) => never): { readonly health?: HealthCheck } {
  const { [healthLabels.path]: path, [healthLabels.everySeconds]: every = '10' } = labels;
  if (path === undefined) return {};
  if (!/^\/[!-~]{0,199}$/.test(path)) fail(`its label ${healthLabels.path} is no path, such as /healthz`);
  const seconds = /^\d{1,3}$/.test(every) ? Number(every) : 0;
  if (seconds < 1 || seconds > 300) fail(`its label ${healthLabels.everySeconds} is not a whole number of seconds from 1 to 300`);
  return { health: { path, everyMs: seconds * 1_000 } };
}

/** A declared volume would be a directory on the host without a limit: it becomes memory. What Docker itself mounts stays. */
function isHarmlessVolume(path: string): boolean {
  return /^(\/[\w.@-]+)+\/?$/.test(path) && !/\/\.\.?(\/|$)/.test(path) && !/^\/(proc|sys|dev|etc)(\/|$)/.test(path);
}

function wordsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((word) => typeof word === 'string') : [];
}

/** The image's own user where it is a number that is neither root nor the helper; a name could stand for root. */
function userOf(user: string): string {
  const [, uid, gid = '65534'] = /^(\d{1,9})(?::(\d{1,9}))?$/.exec(user) ?? [];
  if (uid === undefined || Number(uid) === 0 || Number(gid) === 0 || Number(uid) === Number.parseInt(relayUser)) return functionUser;
  return `${Number(uid)}:${Number(gid)}`;
}

function portOf(exposed: unknown): number {
  const ports = Object.keys((exposed as Record<string, unknown> | undefined) ?? {}).flatMap(
    (name) => /^(\d{1,5})(\/tcp)?$/.exec(name)?.[1] ?? [],
  );
  const port = Number(ports[0]);
  // Below 1024 only root may listen.
  return ports.length === 1 && port >= 1_024 && port <= 65_535 ? port : 8_080;
}

/** A function's own environment as the engine takes it. */
export function environmentOf({ env = {} }: Pick<ImageProgram, 'env'>): string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

/** Why a container ended, in words for the function's owner. */
export function describeEnd({ State: state }: ContainerInspectInfo, said: string): { reason: string; outOfMemory: boolean } {
  if (state.OOMKilled) return { reason: 'The function used more memory than its limit.', outOfMemory: true };
  const words = said.trim().slice(-512);
  const by = state.ExitCode > 128 ? `was ended by signal ${state.ExitCode - 128}` : `ended with code ${state.ExitCode}`;
  return { reason: `The container ${by}${words ? `: ${words}` : '.'}`, outOfMemory: false };
}
