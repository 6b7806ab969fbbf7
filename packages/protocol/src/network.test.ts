import { describe, expect, test } from 'vitest';
import { mayReach, networkPolicySchema, whyNetworkUnfit } from './network.ts';

const wants = (...network: string[]) => ({ network });

describe('what a node offers and a manifest asks', () => {
  test('nothing asked fits everywhere; anything asked needs an offer that covers it', () => {
    expect(whyNetworkUnfit(wants(), undefined)).toBeUndefined();
    expect(whyNetworkUnfit(wants('api.example.org'), undefined)).toBe('network: api.example.org wanted, none offered');
    expect(whyNetworkUnfit(wants('public'), ['api.example.org'])).toBe('network: public wanted, api.example.org offered');
    expect(whyNetworkUnfit(wants('public'), 'public')).toBeUndefined();
    expect(whyNetworkUnfit(wants('a.example.org', 'b.example.org:8443'), 'public')).toBeUndefined();
  });

  test('hosts are the same by name and port, https without a port; a wildcard covers what is below, not itself', () => {
    const fits = (wanted: string, ...offered: string[]) => whyNetworkUnfit(wants(wanted), offered) === undefined;
    expect(fits('example.org', 'example.org:443')).toBe(true);
    expect(fits('example.org:80', 'example.org')).toBe(false);
    expect(fits('a.b.example.org', '*.example.org')).toBe(true);
    expect(fits('example.org', '*.example.org')).toBe(false);
    expect(fits('notexample.org', '*.example.org')).toBe(false);
    expect(fits('a.example.org:8443', '*.example.org')).toBe(false);
    expect(fits('example.org.evil.test', 'example.org', '*.example.org')).toBe(false);
  });

  test('a policy has at least one entry, and each is a host', () => {
    for (const good of ['public', ['a.org'], ['*.a.org:8080', 'b.org']]) expect(networkPolicySchema.safeParse(good).success).toBe(true);
    for (const bad of [
      'none',
      'all',
      [],
      ['*'],
      ['public'],
      ['a.org/x'],
      ['A.org'],
      ['http://a.org'],
      ['a..org'],
      ['[::1]'],
      ['a.org:99999999'],
    ])
      expect(networkPolicySchema.safeParse(bad).success, String(bad)).toBe(false);
  });
});

describe('what may be reached now', () => {
  test('only what both say', () => {
    expect(mayReach(wants('a.org'), 'public', 'a.org', 443)).toBe(true);
    expect(mayReach(wants('a.org'), ['b.org'], 'a.org', 443)).toBe(false);
    expect(mayReach(wants('a.org'), undefined, 'a.org', 443)).toBe(false);
    expect(mayReach(wants('a.org'), 'public', 'b.org', 443)).toBe(false);
    expect(mayReach(wants(), 'public', 'a.org', 443)).toBe(false);
  });

  test('public is the web’s ports; another port must be named, and no port of another protocol is reached at all', () => {
    expect(mayReach(wants('public'), 'public', 'a.org', 80)).toBe(true);
    expect(mayReach(wants('public'), 'public', 'a.org', 8080)).toBe(false);
    expect(mayReach(wants('a.org:8080'), 'public', 'a.org', 8080)).toBe(true);
    expect(mayReach(wants('a.org:25'), ['a.org:25'], 'a.org', 25)).toBe(false);
  });
});
