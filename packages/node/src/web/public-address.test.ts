import { expect, test } from 'vitest';
import { isPublicAddress } from './public-address.ts';

test.each([
  ['this network', '0.0.0.0', '0.1.2.3'],
  ['private', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1'],
  ['shared (CGNAT), where some clouds have their metadata', '100.64.0.1', '100.100.100.200', '100.127.255.255'],
  ['loopback', '127.0.0.1', '127.255.255.254', '::1'],
  ['link-local, metadata among them', '169.254.169.254', 'fe80::1', 'fe80::1%eth0', 'febf::1'],
  [
    'reserved and documentation',
    '192.0.0.192',
    '192.0.2.1',
    '198.18.0.1',
    '198.51.100.7',
    '203.0.113.9',
    '240.0.0.1',
    '2001:db8::1',
    '3fff::1',
  ],
  ['multicast and broadcast', '224.0.0.251', '239.255.255.250', '255.255.255.255', 'ff02::1'],
  ['unique local, metadata among them', 'fc00::1', 'fd00:ec2::254'],
  ['unspecified', '::'],
  ['IPv4 inside IPv6: mapped, compatible', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '::127.0.0.1', '::ffff:0:127.0.0.1'],
  ['NAT64', '64:ff9b::127.0.0.1', '64:ff9b::8.8.8.8', '64:ff9b:1::a00:1'],
  ['6to4 and Teredo', '2002:7f00:1::', '2002:a00:1::1', '2001::1'],
  ['given to nobody', '4000::1', '1::1', 'fec0::1', '5f00::1', '100::1'],
  ['metadata on a public number', '168.63.129.16'],
  ['no address', '', 'localhost', '1.2.3', '0x7f.1', '127.1', '2130706433', '::gggg'],
])('refused: %s', (_name, ...addresses) => {
  for (const address of addresses) expect([address, isPublicAddress(address, [])]).toEqual([address, false]);
});

test('public: IPv4 and IPv6 of the internet', () => {
  for (const address of ['8.8.8.8', '93.184.216.34', '2606:2800:220:1:248:1893:25c8:1946', '2a00:1450:4001:81b::200e'])
    expect([address, isPublicAddress(address, [])]).toEqual([address, true]);
});

test('refused: what is public by its number and a neighbour by the network that this computer is in', () => {
  const local = ['93.184.216.10/24', '2a02:8070:1::7/64', '127.0.0.1/8'];
  expect(isPublicAddress('93.184.216.34', local)).toBe(false);
  expect(isPublicAddress('93.184.217.34', local)).toBe(true);
  expect(isPublicAddress('2a02:8070:1::9', local)).toBe(false);
  expect(isPublicAddress('2a02:8070:2::9', local)).toBe(true);
});
