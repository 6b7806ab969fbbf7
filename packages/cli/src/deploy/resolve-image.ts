import { OrbError, sha256, type ManifestInput } from '@orb/protocol';
import { ImageRegistry, parseImagePlace } from './image-registry.ts';
import type { CodeForDeploy } from './read-code.ts';

interface Descriptor {
  readonly digest: string;
  readonly platform?: { readonly os?: string };
}

interface ImageManifest {
  readonly manifests?: readonly Descriptor[];
  readonly config?: Descriptor;
}

export interface ImageSource {
  /** As `docker pull` takes it. */
  readonly image: string;
  /** How it answers; found from the image's own configuration when left out. */
  readonly handler: string | undefined;
  /** `NAME:PASSWORD` for a private registry. */
  readonly login: string | undefined;
}

/**
 * Asks the registry which image a name stands for now. What is deployed is that one for ever: its own manifest is the
 * code, and its digest the hash.
 * @throws OrbError `bad-source` when it cannot be read
 */
export async function resolveImage({ image, handler, login }: ImageSource): Promise<CodeForDeploy> {
  const place = parseImagePlace(image);
  const registry = new ImageRegistry({ place, login });
  const code = await registry.manifest();
  const digest = sha256(code);
  const way = handler ?? ((await serves(registry, code)) ? 'http' : 'job');
  const manifest: Partial<ManifestInput> & Pick<ManifestInput, 'kind' | 'runtime'> = {
    kind: 'image',
    runtime: 'container',
    image: `${place.name}@sha256:${digest}`,
    handler: way,
    ...(way === 'job' && { concurrency: 1 }),
  };
  return {
    code,
    sha256: digest,
    manifest,
    inputs: [],
    warnings: [],
    summary: `Image ${place.name}@sha256:${digest.slice(0, 12)}… answers as ${way}`,
  };
}

/** An image that names a port is a server. */
async function serves(registry: ImageRegistry, code: Uint8Array): Promise<boolean> {
  const manifest = read<ImageManifest>(code);
  const linux = manifest.manifests?.find(({ platform }) => platform?.os === 'linux');
  const one = linux ? read<ImageManifest>(await registry.manifest(linux.digest)) : manifest;
  if (typeof one.config?.digest !== 'string') throw new OrbError('bad-source', { message: 'The image has nothing for Linux.' });
  const { config } = read<{ config?: { ExposedPorts?: object } }>(await registry.blob(one.config.digest));
  return Object.keys(config?.ExposedPorts ?? {}).length > 0;
}

function read<T>(bytes: Uint8Array): T {
  try {
    const value = JSON.parse(Buffer.from(bytes).toString()) as T | null;
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Said below.
  }
  throw new OrbError('bad-source', { message: 'The registry sent what is no image.' });
}
