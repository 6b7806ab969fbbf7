import { describe, expect, test } from 'vitest';
import { callRate, parseSuperNodeConfig } from './config.ts';

const parse = (gateway: object, more: object = {}) => parseSuperNodeConfig({ folder: 'data', gateway, ...more });

describe('a super node’s configuration', () => {
  test('plain HTTP is refused on every address that is not loopback', () => {
    for (const listen of ['0.0.0.0:80', '192.0.2.1:80', '[::]:80', 'example.org:80', '127.0.0.1.example.org:80']) {
      expect(() => parse({ listen })).toThrow(/plain HTTP is for this computer alone/);
      expect(() => parse({ listen, tls: { certFile: 'c', keyFile: 'k' } })).not.toThrow();
    }
    for (const listen of ['127.0.0.1:80', '127.9.9.9:80', '[::1]:80', 'localhost:80']) expect(() => parse({ listen })).not.toThrow();
  });

  test('callers are limited by address, but not on loopback, unless a proxy tells them apart', () => {
    expect(callRate(parse({ listen: '127.0.0.1:80' }))).toBeNull();
    expect(callRate(parse({ listen: '127.0.0.1:80', trustedProxies: ['127.0.0.1'] }))).toBe(1_000);
    expect(callRate(parse({ listen: '0.0.0.0:443', tls: { certFile: 'c', keyFile: 'k' } }))).toBe(1_000);
    expect(callRate(parse({ listen: '127.0.0.1:80' }, { callsPerSecond: 5 }))).toBe(5);
  });

  test('a wrong field is named', () => {
    expect(() => parse({ listen: 'nonsense' })).toThrow(/config.gateway.listen: must be HOST:PORT/);
    expect(() => parseSuperNodeConfig({ folder: 'data', placment: 'random' })).toThrow(/placment/);
  });
});
