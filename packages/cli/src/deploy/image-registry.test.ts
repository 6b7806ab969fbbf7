import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { sha256 } from '@orb/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseImagePlace } from './image-registry.ts';
import { resolveImage } from './resolve-image.ts';

const utf8 = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const digestOf = (bytes: Uint8Array) => `sha256:${sha256(bytes)}`;

/** The part of the OCI distribution specification that a deploy uses, over HTTP on this computer. */
let server: Server;
let host: string;
let asked: string[];
let content: Record<string, Uint8Array>;
let login: string | undefined;

beforeEach(async () => {
  asked = [];
  content = {};
  login = undefined;
  server = createServer((request, response) => {
    asked.push(request.url!);
    if (login !== undefined && request.headers.authorization !== `Basic ${Buffer.from(login).toString('base64')}`) {
      return void response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
    }
    const bytes = content[request.url!];
    response.writeHead(bytes ? 200 : 404).end(bytes);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  host = `127.0.0.1:${(server.address() as { port: number }).port}`;
});
afterEach(() => void server.close());

/** Puts an image there. @returns its digest */
function put(path: string, config: object, tag = 'latest'): string {
  const configBytes = utf8({ config });
  const manifest = utf8({ schemaVersion: 2, config: { digest: digestOf(configBytes), size: configBytes.length }, layers: [] });
  content[`/v2/${path}/blobs/${digestOf(configBytes)}`] = configBytes;
  content[`/v2/${path}/manifests/${tag}`] = manifest;
  content[`/v2/${path}/manifests/${digestOf(manifest)}`] = manifest;
  return digestOf(manifest);
}
const resolve = (image: string, more: object = {}) => resolveImage({ image, handler: undefined, login: undefined, ...more });

test.each([
  ['alpine', 'docker.io', 'library/alpine', 'latest'],
  ['me/app:1', 'docker.io', 'me/app', '1'],
  ['ghcr.io/me/app', 'ghcr.io', 'me/app', 'latest'],
  ['localhost:5000/app:v1.2', 'localhost:5000', 'app', 'v1.2'],
  [`ghcr.io/me/app@sha256:${'a'.repeat(64)}`, 'ghcr.io', 'me/app', `sha256:${'a'.repeat(64)}`],
  [`ghcr.io/me/app:1@sha256:${'a'.repeat(64)}`, 'ghcr.io', 'me/app', `sha256:${'a'.repeat(64)}`],
])('%s is found where docker would', (text, registry, path, wanted) => {
  expect(parseImagePlace(text)).toEqual({ registry, path, name: `${registry}/${path}`, wanted });
});

test.each(['', '-x', 'a b', 'UPPER', 'http://x/y', 'a@sha256:12', `x${'y'.repeat(500)}`])('%j is no image', (text) => {
  expect(() => parseImagePlace(text)).toThrow(expect.objectContaining({ code: 'bad-source' }));
});

test('a tag becomes the digest that it stands for now, and the manifest the code', async () => {
  const digest = put('me/app', { Cmd: ['run'] }, '1');
  const { code, sha256: hash, manifest } = await resolve(`${host}/me/app:1`);
  expect([digestOf(code), `sha256:${hash}`]).toEqual([digest, digest]);
  expect(manifest).toEqual({ kind: 'image', runtime: 'container', image: `${host}/me/app@${digest}`, handler: 'job', concurrency: 1 });
});

test('an image that names a port is a server, unless it is said otherwise', async () => {
  put('me/app', { ExposedPorts: { '3000/tcp': {} } });
  expect((await resolve(`${host}/me/app`)).manifest).toMatchObject({ handler: 'http' });
  expect((await resolve(`${host}/me/app`, { handler: 'job' })).manifest).toMatchObject({ handler: 'job', concurrency: 1 });
});

test('a list of images for several platforms is kept as it is', async () => {
  const linux = put('me/app', { ExposedPorts: { '3000/tcp': {} } }, 'linux');
  const list = utf8({
    manifests: [
      { digest: 'sha256:0', platform: { os: 'windows' } },
      { digest: linux, platform: { os: 'linux' } },
    ],
  });
  content['/v2/me/app/manifests/latest'] = list;
  const { code, manifest } = await resolve(`${host}/me/app`);
  expect([digestOf(code), manifest.handler]).toEqual([digestOf(list), 'http']);
});

test('what a registry sends under a false digest is refused', async () => {
  const digest = put('me/app', {});
  content[`/v2/me/app/manifests/${digest}`] = utf8({ other: true });
  await expect(resolve(`${host}/me/app@${digest}`)).rejects.toMatchObject({
    code: 'bad-source',
    message: expect.stringContaining('something else'),
  });
});

test('a private registry is read with the login alone, and nothing is sent before it asks', async () => {
  put('me/app', {});
  login = 'me:secret';
  await expect(resolve(`${host}/me/app`)).rejects.toMatchObject({
    code: 'bad-source',
    hint: expect.stringContaining('ORB_REGISTRY_LOGIN'),
  });
  expect((await resolve(`${host}/me/app`, { login })).manifest.kind).toBe('image');
});

test('what is not there, or no image, or not a registry at all, is said', async () => {
  await expect(resolve(`${host}/me/none`)).rejects.toMatchObject({
    code: 'bad-source',
    message: expect.stringContaining('does not have it'),
  });
  content['/v2/me/app/manifests/latest'] = utf8('<html>');
  await expect(resolve(`${host}/me/app`)).rejects.toMatchObject({ code: 'bad-source' });
  content['/v2/me/app/manifests/latest'] = new Uint8Array(11_000_000);
  await expect(resolve(`${host}/me/app`)).rejects.toMatchObject({ code: 'too-large' });
  await expect(resolve('127.0.0.1:9/me/app')).rejects.toMatchObject({
    code: 'bad-source',
    message: expect.stringContaining('cannot be reached'),
  });
});
