import { tierOf, tierSatisfies, whyNetworkUnfit, type Manifest, type Offer, type VersionRecord } from '@orb/protocol';
import type { NodeSession } from '../registry/node-registry.ts';

/** {@link whyUnfit}, remembered for as long as the node's offer stays as it is. */
export function whyUnfitNow(node: Pick<NodeSession, 'offer' | 'fits'>, version: VersionRecord): string | undefined {
  const known = node.fits.get(version.id);
  if (known !== undefined) return known ?? undefined;
  const reason = whyUnfit(node.offer, version.manifest);
  if (node.fits.size >= maxRemembered) node.fits.clear();
  node.fits.set(version.id, reason ?? null);
  return reason;
}

/** Versions that one node's answers are remembered for. */
const maxRemembered = 20_000;

/** Why a node can never run a version as things stand; undefined when it can. A busy node still fits. */
export function whyUnfit(offer: Offer, manifest: Manifest): string | undefined {
  if (!offer.accepting) return 'the node is paused';
  if (!offer.runtimes.includes(manifest.runtime)) return `runtime ${manifest.runtime} is not offered`;
  if (offer.memoryMiB < manifest.memoryMiB) return `memory: ${manifest.memoryMiB} MiB wanted, ${offer.memoryMiB} MiB offered`;
  const tier = tierOf(manifest, offer.isolation);
  if (!tierSatisfies(tier, manifest.isolation)) return `isolation ${manifest.isolation} wanted, ${tier} offered`;
  if (BigInt(offer.rate) > BigInt(manifest.priceCap)) return `price: ${offer.rate} asked, at most ${manifest.priceCap} allowed`;
  const network = whyNetworkUnfit(manifest, offer.network);
  if (network !== undefined) return network;
  for (const [label, value] of Object.entries(manifest.labels)) {
    if (offer.labels[label] !== value) return `label ${label}=${value} is missing`;
  }
  return undefined;
}

export function hasFreeSlot(node: { readonly active: number; readonly offer: Offer; readonly full?: boolean }): boolean {
  return node.active < node.offer.slots && node.full !== true;
}
