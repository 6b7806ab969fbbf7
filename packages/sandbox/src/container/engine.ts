import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import Docker, { type Container, type ContainerCreateOptions, type ContainerInspectInfo } from 'dockerode';
import { OrbError } from '@orb/protocol';
import { ownerLabel } from './hardened-container.ts';

/** Longest wait for one answer of the engine, milliseconds; starting and waiting for the end have bounds of their own. */
const answerWithinMs = 30_000;
/** 128 and the number of SIGKILL. */
const killed = 137;
const oomReportMs = 40;
const oomReportTries = 10;
/** Words of the engine when what the image names cannot be executed: the function's fault. */
const cannotExecute =
  /executable file not found|no such file or directory|permission denied|exec format error|is a directory|not a directory|no command specified|starting container process caused|unable to find user/i;

/** What an engine says of itself, as far as it matters here. */
export interface EngineInfo {
  readonly NCPU?: number;
  readonly KernelVersion?: string;
  readonly CPUSet?: boolean;
  readonly MemoryLimit?: boolean;
  readonly SwapLimit?: boolean;
  readonly CpuCfsQuota?: boolean;
  readonly PidsLimit?: boolean;
  readonly DockerRootDir?: string;
  readonly Runtimes?: Readonly<Record<string, unknown>>;
  readonly CgroupVersion?: string;
  readonly SecurityOptions?: readonly string[];
}

/** The engine that this computer offers, and what of ours is in it. */
export class Engine {
  readonly docker: Docker;
  readonly #owner: string;

  constructor(options: { readonly owner: string; readonly socketPath: string | undefined }) {
    this.#owner = options.owner;
    const socketPath = options.socketPath ?? findSocket();
    this.docker = socketPath === undefined ? new Docker() : new Docker({ socketPath });
  }

  /** @throws OrbError `sandbox-failed` when no engine answers */
  async info(): Promise<EngineInfo> {
    try {
      return (await this.docker.info()) as EngineInfo;
    } catch (cause) {
      throw new OrbError('sandbox-failed', {
        message: 'No Docker Engine answers.',
        hint: 'Install and start one (Debian, Ubuntu: sudo apt-get install docker.io), and let this user reach its socket.',
        cause,
      });
    }
  }

  /** @throws OrbError `load-failed` for what the function's image is to blame for, else `sandbox-failed` */
  async create(plan: ContainerCreateOptions): Promise<Container> {
    const name = `orb-${this.#owner}-${randomUUID().slice(0, 13)}`;
    return this.#ask('make a container', () =>
      this.docker.createContainer({ ...plan, name, abortSignal: AbortSignal.timeout(answerWithinMs) }),
    );
  }

  /** @throws as {@link create} does */
  async start(container: Container): Promise<void> {
    await this.#ask('start the container', () => container.start({ abortSignal: AbortSignal.timeout(answerWithinMs) }));
  }

  /** The container's standard streams; from before it starts, so that no byte is missed. @throws OrbError `sandbox-failed` */
  async attach(container: Container, stdin: boolean): Promise<Socket> {
    const stream = await this.#ask('reach the container', () =>
      container.attach({ stream: true, stdin, stdout: true, stderr: true, hijack: true }),
    );
    stream.on('error', () => {});
    return stream as Socket;
  }

  async inspect(container: Container): Promise<ContainerInspectInfo> {
    return this.#ask('look at the container', () => container.inspect({ abortSignal: AbortSignal.timeout(answerWithinMs) }));
  }

  /**
   * A container that has ended. The engine hears of a lack of memory on another way than of the end: one that was killed
   * is asked after a few times.
   */
  async inspectEnded(container: Container): Promise<ContainerInspectInfo> {
    for (let times = 0; ; times++) {
      const info = await this.inspect(container);
      const { Running: running, ExitCode: code, OOMKilled: exhausted } = info.State;
      if (running || code !== killed || exhausted || times === oomReportTries) return info;
      await new Promise((resolve) => setTimeout(resolve, oomReportMs));
    }
  }

  /** Ends it and forgets it, with its anonymous volumes. Never throws: what stays is swept later. */
  async remove(container: Container): Promise<void> {
    try {
      await container.remove({ force: true, v: true });
    } catch {
      // Gone already, or being removed; else the next sweep finds it.
    }
  }

  /** Removes every container of ours: what an earlier life left behind, or this one. */
  async sweep(): Promise<number> {
    const filters = { label: [`${ownerLabel}=${this.#owner}`], name: [`orb-${this.#owner}-`] };
    const found = await this.#ask('list containers', () => this.docker.listContainers({ all: true, filters }));
    await Promise.all(found.map(({ Id: id }) => this.remove(this.docker.getContainer(id))));
    return found.length;
  }

  async #ask<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      const { statusCode, message, json } = cause as { statusCode?: number; message: string; json?: { message?: string } };
      const words = String(json?.message ?? message).slice(0, 500);
      const functionsFault = statusCode !== undefined && statusCode < 500 && cannotExecute.test(words);
      if (functionsFault) throw new OrbError('load-failed', { message: `The image cannot be started: ${words}`, cause });
      throw new OrbError('sandbox-failed', { message: `The Docker Engine could not ${doing}: ${words}`, cause });
    }
  }
}

/** Where Docker, rootless Docker and podman listen; undefined where `DOCKER_HOST` says it, or nothing is found. */
function findSocket(): string | undefined {
  if (process.env['DOCKER_HOST']) return undefined;
  const runtime = process.env['XDG_RUNTIME_DIR'];
  const places = [
    '/var/run/docker.sock',
    ...(runtime ? [`${runtime}/docker.sock`, `${runtime}/podman/podman.sock`] : []),
    `${homedir()}/.docker/run/docker.sock`,
    '/run/podman/podman.sock',
  ];
  return places.find((path) => existsSync(path));
}
