import { fromUtf8, OrbError } from '@orb/protocol';

const maxLayers = 128;

interface Descriptor {
  readonly size: number;
}

/**
 * Compressed bytes of an image as its own manifest says (OCI image manifest, Docker schema 2); 0 for a list of images for
 * several platforms, which says nothing of size.
 * @throws OrbError `load-failed` for anything else
 */
export function imageSize(manifest: Uint8Array): number {
  const { config, layers, manifests } = parse(manifest);
  if (Array.isArray(manifests)) return 0;
  if (!isDescriptor(config) || !Array.isArray(layers) || layers.length > maxLayers || !layers.every(isDescriptor)) throw notOne();
  return (layers as Descriptor[]).reduce((bytes, { size }) => bytes + size, config.size);
}

function parse(manifest: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(fromUtf8(manifest));
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw notOne();
}

function isDescriptor(value: unknown): value is Descriptor {
  const size = (value as Descriptor | undefined)?.size;
  return typeof size === 'number' && Number.isSafeInteger(size) && size >= 0;
}

function notOne(): OrbError {
  return new OrbError('load-failed', { message: 'The code of the version is not the manifest of an image.' });
}
