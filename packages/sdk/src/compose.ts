import type { LinkTransport } from '@orb/link';

/** Links as this platform makes them. They are loaded with the first one. */
export async function openLinkTransport(): Promise<LinkTransport> {
  const { WssTransport } = await import('@orb/link/wss');
  return new WssTransport();
}
