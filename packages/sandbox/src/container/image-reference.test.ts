import { describe, expect, test } from 'vitest';
import { checkRegistryIsPublic, parseImageReference } from './image-reference.ts';

const digest = `sha256:${'a'.repeat(64)}`;

test.each([
  ['ghcr.io/me/app', 'ghcr.io', 'ghcr.io/me/app'],
  ['127.0.0.1:5000/app', '127.0.0.1:5000', '127.0.0.1:5000/app'],
  ['localhost/app', 'localhost', 'localhost/app'],
  ['me/app', 'docker.io', 'me/app'],
  ['alpine', 'docker.io', 'alpine'],
  ['alpine:3.20', 'docker.io', 'alpine'],
])('%s is at %s', (text, registry, name) => {
  expect(parseImageReference(`${text}@${digest}`)).toEqual({ registry, name, digest });
});

test.each([
  'alpine',
  'alpine:latest',
  `alpine@sha256:${'A'.repeat(64)}`,
  `alpine@sha1:${'a'.repeat(40)}`,
  `-x@${digest}`,
  `a b@${digest}`,
  `../x@${digest}`,
  `a//b@${digest}`,
  `http://a.b/c@${digest}`,
  `u:p@a.b/c@${digest}`,
  `${'a'.repeat(600)}@${digest}`,
])('what could name something else is refused: %s', (text) => {
  expect(() => parseImageReference(text)).toThrow(expect.objectContaining({ code: 'load-failed' }));
});

describe('a registry inside the owner’s network', () => {
  test.each([
    '127.0.0.1:5000',
    'localhost:5000',
    '10.1.2.3',
    '192.168.0.1:443',
    '172.31.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0:80',
    'registry',
    '224.0.0.1',
  ])('%s is refused', async (registry) => {
    await expect(checkRegistryIsPublic(registry)).rejects.toMatchObject({ code: 'load-failed' });
  });

  test('and one outside is not', async () => {
    await expect(checkRegistryIsPublic('1.1.1.1')).resolves.toBeUndefined();
  });
});
