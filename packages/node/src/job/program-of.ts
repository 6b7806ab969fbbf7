import type { Manifest, SecretValues } from '@orb/protocol';
import type { Program } from '@orb/sandbox';

/** How long a function may take to load, milliseconds: its top-level code runs unbilled. */
const bundleStartMs = 10_000;
/** A server in a container may have a runtime of its own to start. */
const imageStartMs = 60_000;

/** What a version's manifest, its code and the function's secrets are to a sandbox. */
export function programOf(manifest: Manifest, code: Uint8Array, secrets: SecretValues = {}): Program {
  const { kind, handler, image, memoryMiB, health } = manifest;
  const common = { sha256: manifest.code.sha256, code, memoryMiB, env: { ...manifest.env, ...secrets } };
  if (kind === 'image') {
    return {
      ...common,
      kind,
      image: image!,
      handler: handler === 'http' ? 'http' : 'job',
      startTimeoutMs: imageStartMs,
      ...(health && { health: { path: health.path, everyMs: health.everySeconds * 1_000 } }),
    };
  }
  return { ...common, kind, handler, startTimeoutMs: bundleStartMs };
}
