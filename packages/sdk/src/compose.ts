import type { LinkTransport } from '@orb/link';
import type { Hex32 } from '@orb/protocol';

/** Links as this platform makes them. They are loaded with the first one. */
export async function openLinkTransport(): Promise<LinkTransport> {
  const { WssTransport } = await import('@orb/link/wss');
  return new WssTransport();
}

/** A box that only the holder of a node's key opens, in base64. It is loaded with the first one: who only calls needs none. */
export async function sealToNode(nodeKey: Hex32, content: Uint8Array): Promise<string> {
  const { sealTo } = await import('@orb/protocol/sealed-box');
  return Buffer.from(sealTo(nodeKey, content)).toString('base64');
}
