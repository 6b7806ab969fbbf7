import { inTime, limits, type Hex32 } from '@orb/protocol';
import type { BlobStore } from '@orb/store';
import type { PeerRegistry } from './peer-registry.ts';

/** A super node that does not hand code over within this time is passed over. */
const withinMs = 20_000;

/**
 * Code by its hash: from this super node's store, else from the first linked one that has it, and then kept here. A
 * function is deployed at one super node; nodes of any other may seed it.
 */
export async function fetchCode(
  sha256: Hex32,
  { store, peers }: { readonly store: BlobStore; readonly peers: PeerRegistry },
): Promise<Uint8Array | undefined> {
  const held = await store.get(sha256);
  if (held) return held;
  for (const { link } of Array.from(peers.sessions())) {
    try {
      const code = await inTime(withinMs, async (signal) => {
        const { body } = await link.call('fetch-code', { sha256 }, undefined, { signal });
        return await body.bytes(limits.codeBytes);
      });
      // The store takes nothing that has another hash.
      await store.put(sha256, code);
      return code;
    } catch {
      // The next one may have it.
    }
  }
  return undefined;
}
