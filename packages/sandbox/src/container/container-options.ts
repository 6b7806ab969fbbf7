import type { LentLimits, PullProgress } from '../port.ts';

/** A name and a password for one registry. */
export interface RegistryLogin {
  readonly username: string;
  readonly password: string;
}

/** By host and port; `null` for a registry that asks for no login. */
type RegistryList = Readonly<Record<string, RegistryLogin | null>>;

export interface ContainerSandboxOptions {
  /** Marks what is ours in the engine, and is swept at the next start: 1 to 32 of a–z and 0–9. One sandbox at a time. */
  readonly owner: string;
  /** The engine's socket. @default the first that is there of `DOCKER_HOST` and the usual places of Docker and podman */
  readonly socketPath?: string;
  /** The engine's runtime for functions, such as `runsc`. @default the engine's own, usually runc */
  readonly runtime?: string;
  /** Cores that one container may use. @default 1 */
  readonly cpus?: number;
  /** Cores that all containers together may use, rounded to whole ones, at least one. @default all of the engine's */
  readonly cores?: number;
  /** How containers stand beside the owner's own programs. @default normal */
  readonly priority?: LentLimits['priority'];
  /** Processes and threads in one container. @default 128 */
  readonly pids?: number;
  /** `/tmp`, and each volume that an image declares, in memory that counts as the function's. @default 64 */
  readonly tmpMiB?: number;
  /** Disk for images. Those used longest ago make room; one that runs never does. @default 10240 */
  readonly imageDiskMiB?: number;
  /** Bound on fetching one image. @default 600000 */
  readonly pullTimeoutMs?: number;
  /** Registries to log in to, by host and port; the one place where a private or local registry can be allowed. @default none */
  readonly registries?: RegistryList | (() => RegistryList);
  /** Fetch only from {@link registries}. @default false */
  readonly onlyListedRegistries?: boolean;
  /** Idle time after which a container is frozen, so that it uses no CPU. @default 1000 */
  readonly freezeAfterMs?: number;
  /** Helpers kept ready for the next HTTP container. @default 1 */
  readonly spares?: number;
  /**
   * An image with Node and the relay for HTTP containers, by digest.
   * @default made from this computer's own Node, which must be one for Linux
   */
  readonly relayImage?: string;
  onPull?(progress: PullProgress): void;
}

export type CheckedContainerOptions = Required<
  Omit<ContainerSandboxOptions, 'socketPath' | 'runtime' | 'relayImage' | 'onPull' | 'registries' | 'cores'>
> &
  Pick<ContainerSandboxOptions, 'socketPath' | 'relayImage' | 'onPull' | 'cores'> & {
    readonly runtime?: string | undefined;
    readonly registries: () => RegistryList;
  };

const defaults = {
  cpus: 1,
  priority: 'normal',
  // A Node server has about a dozen threads; a JVM or a Go program under load, some dozens.
  pids: 128,
  tmpMiB: 64,
  imageDiskMiB: 10_240,
  pullTimeoutMs: 600_000,
  onlyListedRegistries: false,
  freezeAfterMs: 1_000,
  spares: 1,
} as const;

/** @throws RangeError for an owner that cannot stand in a name */
export function checkContainerOptions(options: ContainerSandboxOptions): CheckedContainerOptions {
  if (!/^[a-z0-9]{1,32}$/.test(options.owner)) throw new RangeError('owner must be 1 to 32 of a–z and 0–9');
  const { registries = {} } = options;
  return { ...defaults, ...options, registries: typeof registries === 'function' ? registries : () => registries };
}
