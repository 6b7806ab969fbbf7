import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Public by its number, and yet a service of the cloud that this computer may stand in: Azure's metadata and DNS. */
const metadata = new Set(['168.63.129.16']);
/** The only IPv6 addresses that are given out (RFC 4291, IANA): everything else in "unicast" is nobody's. */
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Whether an address is on the public internet and not this computer's or its neighbours'. Private, loopback, link-local,
 * shared (CGNAT), multicast, reserved and documentation ranges are not, nor are IPv6 addresses that carry an IPv4 one in
 * them (mapped, NAT64, 6to4, Teredo), whatever that is.
 * @param localNetworks CIDR of the networks that this computer is in: an IPv6 network at home has public numbers
 */
export function isPublicAddress(address: string, localNetworks: readonly string[]): boolean {
  if (isIP(address) === 0 || address.includes('%') || metadata.has(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== 'unicast') return false;
  if (parsed instanceof ipaddr.IPv6 && !parsed.match(globalUnicast)) return false;
  return !localNetworks.some((network) => contains(network, parsed));
}

function contains(network: string, address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  const [range, bits] = ipaddr.parseCIDR(network);
  return range.kind() === address.kind() && address.match(range, bits);
}
