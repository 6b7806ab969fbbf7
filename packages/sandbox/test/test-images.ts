import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { sharedLibraries } from '../src/deno/deno-binary.ts';
import type { ImageProgram } from '../src/port.ts';
import { findProgram, type DockerDaemon } from './docker-daemon.ts';

/** How an image differs from the one that it is made from, as lines of a Dockerfile. */
export interface ImageRecipe {
  readonly name: string;
  /** Lines that change the configuration: ENTRYPOINT, CMD, ENV, EXPOSE, USER, VOLUME. */
  readonly changes: readonly string[];
}

/** An image in the tests' own registry. */
export interface TestImage {
  readonly reference: string;
  readonly digest: string;
  readonly manifest: Uint8Array;
}

/** Commands of BusyBox that the tests' scripts use. */
const commands = [
  'sh',
  'cat',
  'echo',
  'sleep',
  'ls',
  'wc',
  'tr',
  'head',
  'dd',
  'id',
  'ps',
  'kill',
  'ln',
  'rm',
  'mkdir',
  'yes',
  'true',
  'false',
  'grep',
  'mount',
  'ping',
  'wget',
  'nc',
  'ip',
  'chmod',
  'df',
  'env',
  'tail',
  'cut',
  'nslookup',
  'ulimit',
  'sort',
  'touch',
  'seq',
];

/** The one repository that they are all in. */
const repository = 'test/images';

/** A layer of files, in the registry. */
export interface TestLayer {
  readonly digest: string;
  readonly size: number;
  /** The digest of its tar, which is the same unless it is compressed. */
  readonly diffId: string;
}

/** Makes images of BusyBox and this computer's Node without any network, and puts them into the registry. */
export class TestImages {
  readonly #daemon: DockerDaemon;

  constructor(daemon: DockerDaemon) {
    this.#daemon = daemon;
  }

  /** A root of BusyBox, with Node where asked, and files by path. */
  async base(
    options: { readonly node?: boolean; readonly files?: Readonly<Record<string, string | Uint8Array>>; readonly compress?: boolean } = {},
  ): Promise<TestLayer> {
    const root = mkdtempSync(join(tmpdir(), 'orb-image-'));
    try {
      put(findProgram('busybox')!, join(root, 'bin/busybox'));
      for (const command of commands) symlinkSync('busybox', join(root, 'bin', command));
      if (options.node) putNode(root);
      for (const [path, content] of Object.entries(options.files ?? {})) {
        mkdirSync(dirname(join(root, path)), { recursive: true });
        writeFileSync(join(root, path), content);
      }
      mkdirSync(join(root, 'tmp'), { recursive: true });
      const tar = execFileSync('tar', ['-C', root, '--owner=0', '--group=0', '-c', '.'], { maxBuffer: 2 ** 30 });
      const blob = options.compress ? gzipSync(tar, { level: 1 }) : tar;
      return { ...(await this.#putBlob(blob)), diffId: digestOf(tar) };
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  }

  /** An image of a layer, in the registry alone: it has to be fetched. */
  async make(layer: TestLayer, recipe: ImageRecipe): Promise<TestImage> {
    const config = {
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: configOf(['ENV PATH=/usr/bin:/bin', ...recipe.changes]),
      rootfs: { type: 'layers', diff_ids: [layer.diffId] },
      history: [{ created_by: recipe.name }],
    };
    const type = 'application/vnd.docker.distribution.manifest.v2+json';
    const manifest = {
      schemaVersion: 2,
      mediaType: type,
      config: {
        mediaType: 'application/vnd.docker.container.image.v1+json',
        ...(await this.#putBlob(Buffer.from(JSON.stringify(config)))),
      },
      layers: [{ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', size: layer.size, digest: layer.digest }],
    };
    const bytes = Buffer.from(JSON.stringify(manifest));
    await this.#put(`/manifests/${recipe.name}`, bytes, type);
    const digest = digestOf(bytes);
    return { reference: `${this.#daemon.registry}/${repository}@${digest}`, digest, manifest: bytes };
  }

  async #putBlob(bytes: Uint8Array): Promise<{ digest: string; size: number }> {
    const digest = digestOf(bytes);
    const begun = await fetch(`http://${this.#daemon.registry}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
    const url = new URL(begun.headers.get('location')!);
    url.searchParams.set('digest', digest);
    await this.#send(url, bytes, 'application/octet-stream');
    return { digest, size: bytes.length };
  }

  async #put(path: string, bytes: Uint8Array, type: string): Promise<void> {
    await this.#send(new URL(`http://${this.#daemon.registry}/v2/${repository}${path}`), bytes, type);
  }

  async #send(url: URL, bytes: Uint8Array, type: string): Promise<void> {
    const answer = await fetch(url, { method: 'PUT', body: bytes as Uint8Array<ArrayBuffer>, headers: { 'content-type': type } });
    if (!answer.ok) throw new Error(`The tests' registry answered ${answer.status}: ${await answer.text()}`);
  }
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** An image's configuration from lines of a Dockerfile. */
function configOf(lines: readonly string[]): Record<string, unknown> {
  const env: string[] = [];
  const config: Record<string, unknown> = { Env: env };
  const add = (field: string, key: string) => (config[field] = { ...(config[field] as object | undefined), [key]: {} });
  for (const line of lines) {
    const [, word = '', rest = ''] = /^(\w+) (.*)$/s.exec(line) ?? [];
    if (word === 'ENV') env.push(rest);
    else if (word === 'CMD') config['Cmd'] = JSON.parse(rest);
    else if (word === 'ENTRYPOINT') config['Entrypoint'] = JSON.parse(rest);
    else if (word === 'USER') config['User'] = rest;
    else if (word === 'EXPOSE') add('ExposedPorts', `${rest}/tcp`);
    else if (word === 'VOLUME') add('Volumes', rest);
    else if (word === 'LABEL') config['Labels'] = { ...(config['Labels'] as object | undefined), ...Object.fromEntries([rest.split('=')]) };
    else if (word === 'HEALTHCHECK') config['Healthcheck'] = { Test: ['CMD-SHELL', rest], Interval: 1e9 };
    else throw new Error(`The tests know no ${line}`);
  }
  return config;
}

/** A version of such an image. */
export function imageProgram(image: TestImage, handler: 'job' | 'http', more: Partial<ImageProgram> = {}): ImageProgram {
  return {
    kind: 'image',
    image: image.reference,
    sha256: image.digest.slice(7),
    code: image.manifest,
    handler,
    memoryMiB: 128,
    startTimeoutMs: 20_000,
    ...more,
  };
}

/** Serves the default export's `fetch` with node:http: what a server in a container looks like. */
export const nodeServer = `
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import handler from './function.mjs';
createServer(async (incoming, outgoing) => {
  try {
    const headers = new Headers();
    for (let i = 0; i < incoming.rawHeaders.length; i += 2) headers.append(incoming.rawHeaders[i], incoming.rawHeaders[i + 1]);
    const bodiless = incoming.method === 'GET' || incoming.method === 'HEAD';
    const body = bodiless ? undefined : Readable.toWeb(incoming);
    const request = new Request('http://' + incoming.headers.host + incoming.url, { method: incoming.method, headers, body, duplex: 'half' });
    const response = await handler.fetch(request);
    const own = [...response.headers].flat();
    outgoing.writeHead(response.status, own);
    if (response.body) for await (const piece of response.body) if (!outgoing.write(piece)) await new Promise((resolve) => outgoing.once('drain', resolve));
    outgoing.end();
  } catch {
    outgoing.destroy();
  }
}).listen(Number(process.env.PORT), '127.0.0.1');
`;

function putNode(root: string): void {
  const node = realpathSync(process.execPath);
  put(node, join(root, 'usr/bin/node'));
  for (const { source, target } of sharedLibraries(node)) put(source, join(root, target));
}

function put(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(realpathSync(from), to);
}
