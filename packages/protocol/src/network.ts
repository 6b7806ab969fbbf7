import { z } from 'zod';
import { limits } from './limits.ts';
import type { Manifest } from './manifest.ts';

/*
 * What of the network a function may reach: its manifest asks, a node's owner allows, and only what both say holds. A host
 * is `example.org:443`, or without a port that of https; `public` is every public host on the ports of the web.
 */
const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
const hostAndPort = `${label}(\\.${label})*(:[1-9]\\d{0,4})?`;
/** An entry of a manifest. */
export const hostPattern = new RegExp(`^(public|${hostAndPort})$`);
/** An entry of an owner: `*.` stands for every name below. */
export const offeredHostPattern = new RegExp(`^(?!public$)(\\*\\.)?${hostAndPort}$`);

/** What a node's owner allows: everything public, or these hosts. Nothing at all is no policy. */
export const networkPolicySchema = z.union([
  z.literal('public'),
  z
    .array(z.string().max(260).regex(offeredHostPattern, 'must be a host such as api.example.org:443, or *.example.org'))
    .min(1)
    .max(limits.networkHosts),
]);
/** A policy as read; undefined: none. */
export type NetworkPolicy = z.output<typeof networkPolicySchema>;

const defaultPort = 443;
/** What `public` reaches. */
const webPorts: ReadonlySet<number> = new Set([80, 443]);
/** Ports whose protocols could be spoken to by way of HTTP: the Fetch standard's "bad ports" (section 2.9). */
const badPorts: ReadonlySet<number> = new Set([
  0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111, 113, 115, 117,
  119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636,
  989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
]);

/** Why a node's policy does not give a function all that its manifest asks for; undefined when it does. */
export function whyNetworkUnfit({ network }: Pick<Manifest, 'network'>, policy: NetworkPolicy | undefined): string | undefined {
  for (const wanted of network) {
    if (wanted === 'public' ? policy !== 'public' : !covers(policy, wanted))
      return `network: ${wanted} wanted, ${describe(policy)} offered`;
  }
  return undefined;
}

/** Whether a function may speak to a host and port now: its manifest asks for it, and the node's policy allows it. @param host in lower case */
export function mayReach({ network }: Pick<Manifest, 'network'>, policy: NetworkPolicy | undefined, host: string, port: number): boolean {
  if (badPorts.has(port)) return false;
  const place = `${host}:${port}`;
  const asked = network.some((wanted) => (wanted === 'public' ? webPorts.has(port) : withPort(wanted) === place));
  return asked && covers(policy, place);
}

function covers(policy: NetworkPolicy | undefined, wanted: string): boolean {
  if (policy === undefined) return false;
  if (policy === 'public') return true;
  const place = withPort(wanted);
  return policy.some((offered) => {
    const whole = withPort(offered);
    return whole.startsWith('*.') ? place.endsWith(whole.slice(1)) && place.length > whole.length - 1 : whole === place;
  });
}

function withPort(host: string): string {
  return host.includes(':') ? host : `${host}:${defaultPort}`;
}

function describe(policy: NetworkPolicy | undefined): string {
  if (policy === undefined) return 'none';
  return policy === 'public' ? policy : policy.slice(0, 5).join(', ') + (policy.length > 5 ? ', …' : '');
}
