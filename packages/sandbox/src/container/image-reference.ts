import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { OrbError } from '@orb/protocol';

/** Where an image is, and which one exactly. */
export interface ImageReference {
  /** Host and port of the registry. */
  readonly registry: string;
  /** What the engine calls it, without the digest. */
  readonly name: string;
  /** `sha256:` and 64 hex digits. */
  readonly digest: string;
}

const pattern =
  /^((?:[a-z0-9]+(?:[._-][a-z0-9]+)*)(?::\d{1,5})?(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)(?::[\w][\w.-]{0,127})?@(sha256:[0-9a-f]{64})$/;
const dockerHub = 'docker.io';

/** @throws OrbError `load-failed` for what is no reference by digest */
export function parseImageReference(text: string): ImageReference {
  const [, name, digest] = (text.length <= 512 && pattern.exec(text)) || [];
  if (name === undefined || digest === undefined) {
    throw new OrbError('load-failed', {
      message: `${JSON.stringify(text.slice(0, 100))} is no image by digest, such as ghcr.io/me/app@sha256:….`,
    });
  }
  const [first = ''] = name.split('/');
  // The rule of Docker's own references: a first part with a dot, a port, or `localhost` is a host.
  const registry = name.includes('/') && /[.:]|^localhost$/.test(first) ? first : dockerHub;
  return { registry, name, digest };
}

/** Addresses that are not on the public internet (IANA's special-purpose registries). */
function privateAddresses(): BlockList {
  const list = new BlockList();
  const v4: [string, number][] = [
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
    ['172.16.0.0', 12],
    ['192.0.0.0', 24],
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
    ['224.0.0.0', 3],
  ];
  const v6: [string, number][] = [
    ['::', 127],
    ['64:ff9b:1::', 48],
    ['fc00::', 7],
    ['fe80::', 10],
    ['ff00::', 8],
  ];
  for (const [address, bits] of v4) {
    list.addSubnet(address, bits, 'ipv4');
    list.addSubnet(`::ffff:${address}`, 96 + bits, 'ipv6');
  }
  for (const [address, bits] of v6) list.addSubnet(address, bits, 'ipv6');
  return list;
}

/**
 * A stranger names the registry, and the engine of this computer asks it: so it must not be one inside the owner's network.
 * The engine looks the name up again by itself; a name that changes its address in between can make it knock, not answer.
 * @throws OrbError `load-failed`
 */
export async function checkRegistryIsPublic(registry: string): Promise<void> {
  const host = registry.replace(/:\d+$/, '');
  const refuse = (why: string, cause?: unknown): never => {
    throw new OrbError('load-failed', {
      message: `The registry ${registry} ${why}.`,
      hint: 'The provider can list it under registries.',
      cause,
    });
  };
  if (isIP(host) === 0 && !host.includes('.')) refuse('is not on the public internet');
  const found = await lookup(host, { all: true }).catch((error: unknown) => refuse('cannot be found', error));
  const blocked = privateAddresses();
  if (found.some(({ address, family }) => blocked.check(address, family === 6 ? 'ipv6' : 'ipv4'))) refuse('is not on the public internet');
}
