import { OrbError, tierSatisfies, type IsolationTier } from '@orb/protocol';
import { SandboxByKind, type LentLimits, type Sandbox, type SandboxReport } from '@orb/sandbox';

/** The engines of this computer, and what they can do as its owner has it now. */
export class Engines {
  readonly sandbox: Sandbox;
  readonly #bundles: Sandbox;
  readonly #images: Sandbox | undefined;
  #bundlesReport: SandboxReport | undefined;
  #imagesReport: SandboxReport | undefined;
  #imagesOn = false;

  constructor(dependencies: { readonly bundles: Sandbox; readonly images?: Sandbox | undefined }) {
    this.#bundles = dependencies.bundles;
    this.#images = dependencies.images;
    this.sandbox = this.#images ? new SandboxByKind({ bundle: this.#bundles, image: this.#images }) : this.#bundles;
  }

  get runtimes(): readonly string[] {
    return [...(this.#bundlesReport?.runtimes ?? []), ...(this.#imagesOn ? (this.#imagesReport?.runtimes ?? []) : [])];
  }

  /** The tier of bundles: an image runs in a container or not at all. */
  get isolation(): IsolationTier {
    return this.#bundlesReport?.tier ?? 'process';
  }

  /**
   * Tries what this computer can enforce, within the owner's limits.
   * @throws OrbError `sandbox-failed` without any engine, `not-supported` for limits that cannot be held here
   */
  async open(lent: LentLimits): Promise<void> {
    await this.limit(lent);
    this.#bundlesReport = await this.#bundles.probe();
  }

  /** @throws OrbError `not-supported` for what functions cannot be held to here; then nothing has changed */
  async limit(lent: LentLimits): Promise<void> {
    await this.sandbox.limit?.(lent);
  }

  /** Runs images from now on, where that can be done, or not any more. What the engine can do is asked again each time. */
  async useImages(on: boolean): Promise<void> {
    if (on) this.#imagesReport = await this.#images?.probe();
    this.#imagesOn = on;
  }

  /** Why no image runs here, in words; undefined where they do, or are not wanted. */
  get imagesTrouble(): string | undefined {
    if (!this.#imagesOn || !this.#imagesReport || this.#imagesReport.runtimes.length > 0) return undefined;
    return this.#imagesReport.layers.flatMap(({ active, remedy }) => (active ? [] : (remedy ?? [])))[0];
  }

  /** @throws OrbError `sandbox-failed` when nothing here isolates so well, naming what is missing */
  demand(wanted: IsolationTier): void {
    const reports = [this.#bundlesReport, this.#imagesOn ? this.#imagesReport : undefined].filter((report) => report !== undefined);
    if (reports.some(({ tier }) => tierSatisfies(tier, wanted))) return;
    const missing = reports.flatMap(({ layers }) => layers.filter(({ active }) => !active));
    const remedies = missing.map(({ name, remedy }) => `${name}${remedy ? `: ${remedy}` : ''}`);
    throw new OrbError('sandbox-failed', {
      message: `This computer can isolate functions only by ${this.isolation}; its owner demands ${wanted}.`,
      hint: remedies.length > 0 ? `Missing: ${remedies.join('; ')}` : 'Lower it: orb node set min-isolation process',
    });
  }
}
