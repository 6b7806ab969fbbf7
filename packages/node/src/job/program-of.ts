import type { Manifest } from '@orb/protocol';
import type { Program } from '@orb/sandbox';

/** How long a function may take to load, milliseconds: its top-level code runs unbilled. */
const bundleStartMs = 10_000;
/** A server in a container may have a runtime of its own to start. */
const imageStartMs = 60_000;

/** What a version's manifest and code are to a sandbox. */
export function programOf({ kind, code: { sha256 }, handler, image, memoryMiB, env = {} }: Manifest, code: Uint8Array): Program {
  const common = { sha256, code, memoryMiB, env };
  if (kind === 'image')
    return { ...common, kind, image: image!, handler: handler === 'http' ? 'http' : 'job', startTimeoutMs: imageStartMs };
  return { ...common, kind, handler, startTimeoutMs: bundleStartMs };
}
