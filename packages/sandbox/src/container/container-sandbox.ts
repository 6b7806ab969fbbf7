import { OrbError, utf8 } from '@orb/protocol';
import { HostedInstance } from '../host/hosted-instance.ts';
import type { ImageProgram, Instance, LentLimits, Program, PullProgress, Sandbox, SandboxReport } from '../port.ts';
import { checkContainerOptions, type CheckedContainerOptions, type ContainerSandboxOptions } from './container-options.ts';
import { Engine, type EngineInfo } from './engine.ts';
import { environmentOf, relayUser, type ContainerPlan, type ImageFacts } from './hardened-container.ts';
import { ImageShelf, type HeldImage } from './image-shelf.ts';
import { JobInstance } from './job-instance.ts';
import { probeEngine } from './probe-engine.ts';
import { RelayChannel } from './relay-channel.ts';
import { relayCommand, relayImage } from './relay-image.ts';

/** Room for the helper's Node and for bodies on their way. */
const relayMemoryMiB = 192;
const relayPids = 32;

interface Relay {
  readonly channel: RelayChannel;
  readonly instance: HostedInstance;
}

interface Machine {
  readonly report: SandboxReport;
  /** The engine's id of the helper's image; none where the engine cannot be used. */
  readonly relayImage: string | undefined;
  /** Helper and server cannot share a network there: jobs alone run. */
  readonly ownKernel: boolean;
}

/**
 * Runs OCI images through the Docker Engine API: a container for each call of a `job`, and one that is kept warm and
 * serves many calls for `http`.
 */
export class ContainerSandbox implements Sandbox {
  #options: CheckedContainerOptions;
  readonly #engine: Engine;
  readonly #images: ImageShelf;
  readonly #instances = new Set<Instance>();
  readonly #spares: Promise<Relay>[] = [];
  #machine: Promise<Machine> | undefined;
  #engineInfo: EngineInfo = {};
  #closed = false;

  constructor(options: ContainerSandboxOptions) {
    this.#options = checkContainerOptions(options);
    this.#engine = new Engine({ owner: this.#options.owner, socketPath: this.#options.socketPath });
    this.#images = new ImageShelf(() => this.#options, { engine: this.#engine });
  }

  /** Disk that images fetched for functions take, bytes. */
  get imageBytes(): number {
    return this.#images.usedBytes;
  }

  /** Never throws: an engine that does not answer offers nothing, and is asked again the next time. */
  async probe(): Promise<SandboxReport> {
    const { report, relayImage: image } = await this.#prepare();
    if (image === undefined) this.#machine = undefined;
    return report;
  }

  fetching(): readonly PullProgress[] {
    return this.#images.fetching;
  }

  async prepare(program: Program): Promise<void> {
    const image = await this.#hold(program);
    image.release();
  }

  async start(program: Program): Promise<Instance> {
    const image = await this.#hold(program);
    try {
      const instance = await this.#start(program as ImageProgram, image.facts);
      this.#instances.add(instance);
      void instance.ended.then(() => {
        this.#instances.delete(instance);
        image.release();
      });
      return instance;
    } catch (error) {
      image.release();
      throw error;
    }
  }

  /** Holds for containers that are made from now on. @throws OrbError `not-supported` for a runtime that the engine does not know */
  async limit({ cores, containerCores, containerRuntime, imageDiskMiB, onlyListedRegistries, priority }: LentLimits): Promise<void> {
    const { runtime: before } = this.#options;
    const runtime = containerRuntime;
    if (this.#machine && runtime !== before) checkRuntime(runtime, await this.#engine.info().catch(() => ({})));
    this.#options = { ...this.#options, cores, cpus: containerCores, imageDiskMiB, onlyListedRegistries, priority, runtime };
    if (!this.#machine) return;
    if (runtime === before) return this.#images.trim();
    // Another runtime may hold other walls: what it can do is tried anew before it runs anything.
    this.#machine = undefined;
    await this.#endSpares();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const machine = await this.#machine;
    await Promise.all([...this.#instances].map((instance) => instance.kill()));
    await this.#endSpares();
    if (machine?.relayImage !== undefined) await this.#engine.sweep().catch(() => 0);
  }

  async #endSpares(): Promise<void> {
    const spares = this.#spares.splice(0);
    await Promise.all(
      spares.map((spare) =>
        spare.then(
          ({ instance }) => instance.kill(),
          () => {},
        ),
      ),
    );
  }

  async #hold(program: Program): Promise<HeldImage> {
    const { relayImage: image, ownKernel } = await this.#prepare();
    if (this.#closed) throw new OrbError('sandbox-failed', { message: 'The sandbox is closed.' });
    if (image === undefined) throw new OrbError('sandbox-failed', { message: 'This computer cannot run containers.' });
    if (program.kind !== 'image') throw new OrbError('sandbox-failed', { message: 'This sandbox runs images alone.' });
    if (ownKernel && program.handler !== 'job') {
      throw new OrbError('not-supported', {
        message: `This computer runs images as one-shot jobs alone: its container runtime ${this.#options.runtime} shares no network between a server and what reaches it.`,
        hint: 'Its owner can change that: orb node set container-runtime default',
      });
    }
    return this.#images.hold(program);
  }

  async #start(program: ImageProgram, image: ImageFacts): Promise<Instance> {
    if (program.handler === 'job') return new JobInstance({ program, image, plan: this.#commonPlan() }, { engine: this.#engine });
    const { channel, instance } = await this.#takeRelay();
    try {
      await channel.startServer({
        ...this.#commonPlan(),
        image: image.id,
        user: image.user,
        writable: image.writable,
        memoryMiB: program.memoryMiB,
        env: [...environmentOf(program), `PORT=${image.port}`],
      });
      // What is wrong is told a little before nobody waits for it any more.
      const withinMs = program.startTimeoutMs * 0.9;
      await instance.load({
        ...program,
        env: {},
        code: utf8(JSON.stringify({ port: image.port, health: program.health ?? image.health, withinMs })),
      });
      return instance;
    } catch (error) {
      await instance.kill();
      throw error;
    }
  }

  #commonPlan(): Pick<ContainerPlan, 'owner' | 'cpus' | 'processors' | 'priority' | 'pids' | 'tmpMiB' | 'runtime'> {
    const { owner, cpus, priority, pids, tmpMiB, runtime } = this.#options;
    return { owner, cpus, ...this.#processors(), priority, pids, tmpMiB, ...(runtime && { runtime }) };
  }

  /** The last of the engine's processors, as many as are lent: so all containers together have no more. */
  #processors(): Pick<ContainerPlan, 'processors'> {
    const { NCPU: all = 0, CPUSet: possible = true } = this.#engineInfo;
    const lent = Math.max(1, Math.floor(this.#options.cores ?? all));
    if (!possible || lent >= all) return {};
    return { processors: lent === 1 ? String(all - 1) : `${all - lent}-${all - 1}` };
  }

  #prepare(): Promise<Machine> {
    this.#machine ??= this.#findMachine();
    return this.#machine;
  }

  async #findMachine(): Promise<Machine> {
    const report = (trouble: string): Machine => ({
      relayImage: undefined,
      ownKernel: false,
      report: {
        tier: 'process',
        runtimes: [],
        layers: [{ name: 'containers', active: false, stops: 'whatever an image tries, for functions in any language', remedy: trouble }],
      },
    });
    try {
      this.#engineInfo = await this.#engine.info();
      checkRuntime(this.#options.runtime, this.#engineInfo);
      await this.#engine.sweep();
      await this.#images.open();
      const image = this.#options.relayImage ?? (await relayImage(this.#engine.docker));
      const { ownKernel, ...found } = await probeEngine(this.#relayPlan(image), this.#engineInfo, { engine: this.#engine });
      const usable = found.runtimes.length > 0;
      if (usable && !ownKernel) this.#refill(image);
      return { report: found, relayImage: usable ? image : undefined, ownKernel };
    } catch (error) {
      const { message, hint } = error as OrbError;
      return report(`${message} ${hint ?? ''}`.trim());
    }
  }

  /** A helper that waits for a server: a spare where there is one. */
  async #takeRelay(): Promise<Relay> {
    const { relayImage: image } = await this.#prepare();
    const spare = this.#spares.shift();
    try {
      const relay = spare && (await spare.catch(() => undefined));
      // The engine may have been restarted since.
      if (relay && !relay.channel.ended) return relay;
      return await this.#openRelay(image!);
    } finally {
      this.#refill(image!);
    }
  }

  #refill(image: string): void {
    while (!this.#closed && this.#spares.length < this.#options.spares) {
      const spare = this.#openRelay(image);
      spare.catch(() => {});
      this.#spares.push(spare);
    }
  }

  async #openRelay(image: string): Promise<Relay> {
    const channel = await RelayChannel.open(
      this.#relayPlan(image),
      { freezeAfterMs: this.#options.freezeAfterMs },
      { engine: this.#engine },
    );
    const instance = new HostedInstance(channel);
    await instance.ready();
    return { channel, instance };
  }

  #relayPlan(image: string): ContainerPlan {
    return {
      ...this.#commonPlan(),
      image,
      user: relayUser,
      memoryMiB: relayMemoryMiB,
      // A runtime with a kernel of its own has threads that count here too.
      pids: this.#options.runtime === undefined ? relayPids : this.#options.pids,
      tmpMiB: 1,
      writable: [],
      env: [],
      command: relayCommand,
      entrypoint: [],
      stdin: true,
      init: true,
      autoRemove: true,
    };
  }
}

/** @throws OrbError `not-supported` for a runtime that the engine does not know, with those that it does */
function checkRuntime(runtime: string | undefined, { Runtimes: known }: EngineInfo): void {
  if (runtime === undefined || known === undefined || Object.hasOwn(known, runtime)) return;
  throw new OrbError('not-supported', {
    message: `The container engine has no runtime ${runtime}; it has ${Object.keys(known).join(', ').slice(0, 200) || 'none'}.`,
    hint: `Install it and make it known to the engine (Docker: "runtimes" in /etc/docker/daemon.json), or go back: orb node set container-runtime default`,
  });
}
