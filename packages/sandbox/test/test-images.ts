import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type Docker from 'dockerode';
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

/** Makes images of BusyBox and this computer's Node without any network, and puts them into the registry. */
export class TestImages {
  readonly #daemon: DockerDaemon;

  constructor(daemon: DockerDaemon) {
    this.#daemon = daemon;
  }

  /** A root of BusyBox, with Node where asked, and files. @param files text by path */
  async base(
    name: string,
    options: { readonly node?: boolean; readonly files?: Readonly<Record<string, string | Uint8Array>> } = {},
  ): Promise<string> {
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
      const tar = spawn('tar', ['-C', root, '-c', '.'], { stdio: ['ignore', 'pipe', 'ignore'] });
      const reply = await this.#daemon.docker.importImage(tar.stdout, { repo: name, tag: 'base', changes: ['ENV PATH=/usr/bin:/bin'] });
      for await (const _ of reply);
      return `${name}:base`;
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  }

  /** An image made from another, which shares its files; pushed, and forgotten here, so that it has to be fetched. */
  async make(base: string, recipe: ImageRecipe): Promise<TestImage> {
    const { docker, registry } = this.#daemon;
    const repo = `${registry}/test/${recipe.name}`;
    const container = await docker.createContainer({ Image: base, Cmd: ['/bin/true'], NetworkDisabled: true });
    await container.commit({ repo, tag: 'latest', changes: recipe.changes });
    await container.remove();
    const image = docker.getImage(`${repo}:latest`);
    await finish(docker, await image.push({ authconfig: { key: Buffer.from('{}').toString('base64') } }));
    await image.remove();
    const made = await this.#manifest(repo);
    await docker
      .getImage(`${repo}@${made.digest}`)
      .remove()
      .catch(() => {});
    return made;
  }

  async #manifest(repo: string): Promise<TestImage> {
    const [host, ...path] = repo.split('/');
    const response = await fetch(`http://${host}/v2/${path.join('/')}/manifests/latest`, {
      headers: { accept: 'application/vnd.docker.distribution.manifest.v2+json' },
    });
    const manifest = new Uint8Array(await response.arrayBuffer());
    const digest = `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
    return { reference: `${repo}@${digest}`, digest, manifest };
  }
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

async function finish(docker: Docker, stream: NodeJS.ReadableStream): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(stream, (error: Error | null, lines: { error?: string }[]) => {
      const failed = error ?? lines.find((line) => line.error !== undefined)?.error;
      if (failed) reject(new Error(String(failed)));
      else resolve();
    });
  });
}
