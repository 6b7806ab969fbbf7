import type { Instance, LentLimits, Program, PullProgress, Sandbox, SandboxReport } from './port.ts';

export interface SandboxesByKind {
  /** For bundles and WebAssembly. */
  readonly bundle: Sandbox;
  readonly image: Sandbox;
}

/**
 * Two engines as one: each program goes to the one for its kind. The tier is that of bundles; an image always runs in a
 * container, or not at all.
 */
export class SandboxByKind implements Sandbox {
  readonly #kinds: SandboxesByKind;

  constructor(dependencies: SandboxesByKind) {
    this.#kinds = dependencies;
  }

  async probe(): Promise<SandboxReport> {
    const [bundle, image] = await Promise.all([this.#kinds.bundle.probe(), this.#kinds.image.probe()]);
    return { tier: bundle.tier, runtimes: [...bundle.runtimes, ...image.runtimes], layers: [...bundle.layers, ...image.layers] };
  }

  start(program: Program): Promise<Instance> {
    return this.#of(program).start(program);
  }

  async prepare(program: Program): Promise<void> {
    await this.#of(program).prepare?.(program);
  }

  /** Only bundles have spares that hold memory. */
  allowSpares(memoryMiB: number): void {
    this.#kinds.bundle.allowSpares?.(memoryMiB);
  }

  #of({ kind }: Program): Sandbox {
    return kind === 'image' ? this.#kinds.image : this.#kinds.bundle;
  }

  async limit(lent: LentLimits): Promise<void> {
    // One after the other: what the first cannot be held to changes nothing at the second.
    await this.#kinds.bundle.limit?.(lent);
    await this.#kinds.image.limit?.(lent);
  }

  fetching(): readonly PullProgress[] {
    return [...(this.#kinds.bundle.fetching?.() ?? []), ...(this.#kinds.image.fetching?.() ?? [])];
  }

  cpuUs(): number {
    return (this.#kinds.bundle.cpuUs?.() ?? 0) + (this.#kinds.image.cpuUs?.() ?? 0);
  }

  async close(): Promise<void> {
    await Promise.all([this.#kinds.bundle.close(), this.#kinds.image.close()]);
  }
}
