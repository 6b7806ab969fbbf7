import { expect, test } from 'vitest';
import { belowFunction } from './below-function.ts';

const base = '/fn/alice/shop';

test('a redirect to an absolute path stays with the function; every other stays as it is', () => {
  const redirect = (to: string) => belowFunction('location', to, base);
  expect(redirect('/teas?x=1')).toBe('/fn/alice/shop/teas?x=1');
  for (const other of ['../up', 'teas', '?a', 'https://example.com/a', '//example.com/a', '/\\example.com', '/fn/bob/other'])
    expect(redirect(other)).toBe(other);
});

test('a cookie never leaves its function, whatever path or domain it asks for', () => {
  const cookie = (value: string) => belowFunction('set-cookie', value, base);
  expect(cookie('a=1')).toBe('a=1; Path=/fn/alice/shop');
  expect(cookie('a=1; Path=/; HttpOnly; SameSite=Lax')).toBe('a=1; HttpOnly; SameSite=Lax; Path=/fn/alice/shop');
  expect(cookie('a=1; path=/cart; DOMAIN=example.com; Max-Age=5')).toBe('a=1; Max-Age=5; Path=/fn/alice/shop/cart');
  expect(cookie('a=1; Path=/a; Path=/; domain = .com;Secure')).toBe('a=1; Secure; Path=/fn/alice/shop');
  expect(cookie('a=1; Path=')).toBe('a=1; Path=/fn/alice/shop');
  expect(cookie('a=1;domain=x')).toBe('a=1; Path=/fn/alice/shop');
});

test('other headers are not touched', () => {
  expect(belowFunction('content-location', '/a', base)).toBe('/a');
});
