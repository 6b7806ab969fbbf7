import { describe, expect, test } from 'vitest';
import { addressKey } from '../address-key.ts';
import { Admission } from './admission.ts';

const limits = { connections: 10, connectionsPerAddress: 3, handshakes: 5, handshakesPerAddress: 2 };

describe('admission', () => {
  test('bounds connections and handshakes, of one address and of all', () => {
    const admission = new Admission(limits);
    const first = admission.admit('192.0.2.1')!;
    const second = admission.admit('192.0.2.1')!;
    expect(admission.admit('192.0.2.1')).toBeUndefined();
    first.linked();
    expect(admission.admit('192.0.2.1')).toBeDefined();
    expect(admission.admit('192.0.2.1')).toBeUndefined();
    expect(['192.0.2.2', '192.0.2.3', '192.0.2.4', '192.0.2.5'].map((address) => admission.admit(address) !== undefined)).toEqual([
      true,
      true,
      true,
      false,
    ]);
    second.left();
    expect(admission.admit('192.0.2.5')).toBeDefined();
  });

  test('a place is given back once, however often it is said', () => {
    const admission = new Admission({ ...limits, handshakes: 1 });
    const place = admission.admit('192.0.2.1')!;
    place.linked();
    place.linked();
    place.left();
    expect(admission.admit('192.0.2.1')).toBeDefined();
    expect(admission.admit('192.0.2.1')).toBeUndefined();
  });

  test('one IPv6 network of 2⁶⁴ addresses counts as one address', () => {
    expect(addressKey('2001:db8:1:2:3:4:5:6')).toBe(addressKey('2001:db8:1:2::1'));
    expect(addressKey('2001:db8:1:2::')).not.toBe(addressKey('2001:db8:1:3::'));
    expect(addressKey('2001:0db8::1')).toBe(addressKey('2001:db8::2'));
    expect(addressKey('fe80::1%eth0')).toBe(addressKey('fe80::2'));
    expect(addressKey('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(addressKey('192.0.2.1')).not.toBe(addressKey('192.0.2.2'));
  });
});
