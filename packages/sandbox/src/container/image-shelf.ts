import { statfs } from 'node:fs/promises';
import type Docker from 'dockerode';
import { OrbError } from '@orb/protocol';
import type { ImageProgram, PullProgress } from '../port.ts';
import type { CheckedContainerOptions } from './container-options.ts';
import type { Engine } from './engine.ts';
import { readImage, type ImageFacts } from './hardened-container.ts';
import { checkRegistryIsPublic, parseImageReference, type ImageReference } from './image-reference.ts';
import { imageSize } from './image-manifest.ts';
import { pullImage } from './pull-image.ts';

const mebibyte = 1_048_576;
/** Pulls at once; others wait, so that a slow registry does not hold up all. */
const maxPulls = 3;
/** What others may write to the same disk while an image is fetched, before the image is blamed for it. */
const othersBytes = 128 * mebibyte;
const repositoryPrefix = 'orb-images';

/** An image that stays while it is held. */
export interface HeldImage {
  readonly facts: ImageFacts;
  /** Once; from then on it may be evicted. */
  release(): void;
}

interface Shelved {
  readonly reference: ImageReference | undefined;
  /** On the owner's disk, layers shared with others counted each time. */
  readonly bytes: number;
  usedAtMs: number;
}

/**
 * The images that were fetched for functions, within a budget of disk: who was used longest ago makes room, who runs never
 * does. They carry a tag of ours, by which a later life finds them; images that the owner had before are used, and neither
 * counted nor removed.
 */
export class ImageShelf {
  readonly #optionsNow: () => CheckedContainerOptions;
  readonly #docker: Docker;
  /** By digest. */
  readonly #images = new Map<string, Shelved>();
  /** How many hold an image, or wait for it, by digest. */
  readonly #holders = new Map<string, number>();
  readonly #pulls = new Map<string, Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  /** By digest. */
  readonly #progress = new Map<string, PullProgress>();
  #pulling = 0;
  #reservedBytes = 0;
  #dataRoot: string | undefined;

  /** @param options as they are at the moment: the owner may change them */
  constructor(options: () => CheckedContainerOptions, dependencies: { readonly engine: Engine }) {
    this.#optionsNow = options;
    this.#docker = dependencies.engine.docker;
  }

  get #options(): CheckedContainerOptions {
    return this.#optionsNow();
  }

  /** Disk that images of ours take, bytes. */
  get usedBytes(): number {
    let bytes = this.#reservedBytes;
    for (const image of this.#images.values()) bytes += image.bytes;
    return bytes;
  }

  /** How far the pulls under way are. */
  get fetching(): readonly PullProgress[] {
    return [...this.#progress.values()];
  }

  /** Finds what an earlier life has fetched. */
  async open(): Promise<void> {
    this.#dataRoot = await this.#localDataRoot();
    const images = await this.#docker.listImages({ filters: { reference: [`${this.#repository}:*`] } });
    for (const { RepoTags: tags, Size: bytes, Id: id } of images) {
      // The list leaves out every name that the filter did not ask for.
      const { RepoDigests: digests, Metadata: metadata } = (await this.#docker.getImage(id).inspect()) as {
        RepoDigests?: string[];
        Metadata?: { LastTagTime?: string };
      };
      const usedAtMs = Date.parse(metadata?.LastTagTime ?? '') || 0;
      for (const tag of tags ?? []) {
        const hex = tag.startsWith(`${this.#repository}:`) ? tag.slice(this.#repository.length + 1) : '';
        const text = digests?.find((digest) => digest.endsWith(`@sha256:${hex}`));
        if (hex !== '')
          this.#images.set(`sha256:${hex}`, { reference: text === undefined ? undefined : parseImageReference(text), bytes, usedAtMs });
      }
    }
  }

  /**
   * The program's image, fetched where it is not here.
   * @throws OrbError `load-failed` when it can never be had, `store-full`, `sandbox-failed`
   */
  async hold(program: ImageProgram): Promise<HeldImage> {
    const reference = parseImageReference(program.image);
    if (reference.digest !== `sha256:${program.sha256}`)
      throw new OrbError('load-failed', { message: 'The image is not the one of the version: its digest is another.' });
    const { digest } = reference;
    this.#holders.set(digest, (this.#holders.get(digest) ?? 0) + 1);
    try {
      const facts = readImage((await this.#find(reference)) ?? (await this.#fetch(reference, program)));
      return { facts, release: () => this.#release(digest) };
    } catch (error) {
      this.#release(digest);
      throw error;
    }
  }

  /** Evicts what no longer fits, as far as it does not run. */
  async trim(): Promise<void> {
    await this.#makeRoom(0).catch(() => undefined);
  }

  #release(digest: string): void {
    const left = (this.#holders.get(digest) ?? 0) - 1;
    if (left > 0) this.#holders.set(digest, left);
    else this.#holders.delete(digest);
    const shelved = this.#images.get(digest);
    if (shelved) shelved.usedAtMs = Date.now();
  }

  async #find({ name, digest }: ImageReference): Promise<Docker.ImageInspectInfo | undefined> {
    return this.#docker
      .getImage(`${name}@${digest}`)
      .inspect()
      .catch(() => undefined);
  }

  async #fetch(reference: ImageReference, program: ImageProgram): Promise<Docker.ImageInspectInfo> {
    const { digest } = reference;
    const pull = this.#pulls.get(digest) ?? this.#pull(reference, program).finally(() => this.#pulls.delete(digest));
    this.#pulls.set(digest, pull);
    await pull;
    const info = await this.#find(reference);
    if (!info) throw new OrbError('sandbox-failed', { message: `The image ${reference.name} was fetched and is gone again.` });
    return info;
  }

  async #pull(reference: ImageReference, program: ImageProgram): Promise<void> {
    const { onlyListedRegistries } = this.#options;
    const registries = this.#options.registries();
    const { registry } = reference;
    const listed = Object.hasOwn(registries, registry);
    if (!listed && onlyListedRegistries) throw new OrbError('load-failed', { message: `This provider does not fetch from ${registry}.` });
    if (!listed) await checkRegistryIsPublic(registry);
    const totalBytes = imageSize(program.code);
    await this.#turn();
    try {
      await this.#makeRoom(totalBytes);
      this.#reservedBytes += totalBytes;
      try {
        await this.#pullWatched(reference, totalBytes, registries[registry] ?? undefined);
      } finally {
        this.#reservedBytes -= totalBytes;
      }
      await this.#shelve(reference);
    } finally {
      this.#pulling--;
      this.#waiting.shift()?.();
    }
  }

  async #turn(): Promise<void> {
    while (this.#pulling >= maxPulls) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#pulling++;
  }

  /** A few compressed bytes can unfold to a whole disk: the disk itself is watched while they do. */
  async #pullWatched(
    reference: ImageReference,
    totalBytes: number,
    login: { username: string; password: string } | undefined,
  ): Promise<void> {
    const stop = new AbortController();
    const timer = setTimeout(
      () => stop.abort(new OrbError('load-failed', { message: 'The image was not here in time.' })),
      this.#options.pullTimeoutMs,
    );
    const unwatch = await this.#watchDisk(stop, totalBytes);
    const onProgress = (progress: PullProgress) => {
      this.#progress.set(reference.digest, progress);
      this.#options.onPull?.(progress);
    };
    try {
      await pullImage({ reference, totalBytes, login, signal: stop.signal, onProgress }, { docker: this.#docker });
    } finally {
      this.#progress.delete(reference.digest);
      clearTimeout(timer);
      unwatch();
    }
  }

  async #watchDisk(stop: AbortController, totalBytes: number): Promise<() => void> {
    const root = this.#dataRoot;
    if (root === undefined) return () => {};
    const free = async () => {
      const { bavail, bsize } = await statfs(root);
      return bavail * bsize;
    };
    const before = await free();
    const most = this.#options.imageDiskMiB * mebibyte - this.usedBytes + totalBytes + othersBytes;
    const timer = setInterval(() => {
      void free().then((now) => {
        if (before - now > most)
          stop.abort(new OrbError('store-full', { message: 'The image unfolds to more than the disk that is left for images.' }));
      });
    }, 100);
    return () => clearInterval(timer);
  }

  async #shelve(reference: ImageReference): Promise<void> {
    const { name, digest } = reference;
    const image = this.#docker.getImage(`${name}@${digest}`);
    const { Size: bytes } = await image.inspect();
    await image.tag({ repo: this.#repository, tag: digest.slice('sha256:'.length) });
    this.#images.set(digest, { reference, bytes, usedAtMs: Date.now() });
    try {
      await this.#makeRoom(0);
    } catch (error) {
      await this.#evict(digest);
      throw error;
    }
  }

  /** @throws OrbError `store-full` when what runs holds the rest */
  async #makeRoom(bytes: number): Promise<void> {
    const budget = this.#options.imageDiskMiB * mebibyte;
    const idle = [...this.#images].filter(([digest]) => !this.#holders.has(digest)).sort(([, a], [, b]) => a.usedAtMs - b.usedAtMs);
    for (const [digest] of idle) {
      if (this.usedBytes + bytes <= budget) return;
      if (!this.#holders.has(digest)) await this.#evict(digest);
    }
    if (this.usedBytes + bytes <= budget) return;
    throw new OrbError('store-full', {
      message: `The image needs more disk than is left for images: ${Math.ceil((this.usedBytes + bytes) / mebibyte)} MiB with those in use, of ${this.#options.imageDiskMiB}.`,
    });
  }

  /** Takes our names off the image; the engine forgets one that has no other, and keeps one that runs. */
  async #evict(digest: string): Promise<void> {
    const shelved = this.#images.get(digest);
    this.#images.delete(digest);
    const names = [
      `${this.#repository}:${digest.slice('sha256:'.length)}`,
      ...(shelved?.reference ? [`${shelved.reference.name}@${digest}`] : []),
    ];
    for (const name of names) {
      try {
        await this.#docker.getImage(name).remove();
      } catch {
        // Gone with the name before it, or in use after all: the next start finds it again by its tag.
      }
    }
  }

  /** Where the engine keeps images, when that is on this computer. */
  async #localDataRoot(): Promise<string | undefined> {
    const { DockerRootDir: root } = (await this.#docker.info()) as { DockerRootDir?: string };
    if (root === undefined || process.platform !== 'linux') return undefined;
    return statfs(root).then(
      () => root,
      () => undefined,
    );
  }

  get #repository(): string {
    return `${repositoryPrefix}/${this.#options.owner}`;
  }
}
