import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type Docker from 'dockerode';
import { OrbError } from '@orb/protocol';
import { sharedLibraries } from '../deno/deno-binary.ts';

const source = dirname(dirname(dirname(fileURLToPath(new URL('relay/main.js', import.meta.url)))));
const folders = ['harness', 'container/relay'];
const repository = 'orb-relay';
/** Where everything stands inside. */
export const relayCommand = ['/usr/bin/node', '--max-old-space-size=96', '--max-semi-space-size=2', '/orb/container/relay/main.js'];
export const trialCommand = [
  '/usr/bin/node',
  `/orb/container/relay/${basename(fileURLToPath(new URL('relay/trial.js', import.meta.url)))}`,
];

/**
 * The engine's id of the image with the helper for HTTP containers: this computer's own Node and the relay, nothing else.
 * Made once for each version of the two.
 * @throws OrbError `sandbox-failed` where this Node is none that runs in a Linux container
 */
export async function relayImage(docker: Docker): Promise<string> {
  if (process.platform !== 'linux') {
    throw new OrbError('sandbox-failed', {
      message: 'The helper for HTTP containers cannot be made from the Node of this system.',
      hint: 'Name an image with relayImage.',
    });
  }
  const node = realpathSync(process.execPath);
  const tag = contentOf(node);
  const name = `${repository}:${tag}`;
  const known = await docker
    .getImage(name)
    .inspect()
    .catch(() => undefined);
  if (known) return known.Id;
  await importImage(docker, node, tag);
  const { Id: id } = await docker.getImage(name).inspect();
  return id;
}

function contentOf(node: string): string {
  const hash = createHash('sha256').update(`${process.version} ${process.arch} ${statSync(node).size}`);
  for (const folder of folders) for (const file of scripts(folder)) hash.update(file).update(readFileSync(join(source, folder, file)));
  return hash.digest('hex').slice(0, 32);
}

function scripts(folder: string): string[] {
  return readdirSync(join(source, folder))
    .filter((file) => file.endsWith('.js'))
    .sort();
}

async function importImage(docker: Docker, node: string, tag: string): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'orb-relay-'));
  try {
    const put = (from: string, to: string) => {
      mkdirSync(dirname(join(root, to)), { recursive: true });
      cpSync(from, join(root, to), { dereference: true });
    };
    put(node, '/usr/bin/node');
    for (const { source: from, target } of sharedLibraries(node)) put(from, target);
    for (const folder of folders) for (const file of scripts(folder)) put(join(source, folder, file), `/orb/${folder}/${file}`);
    writeFileSync(join(root, 'orb/package.json'), '{"type":"module"}');
    mkdirSync(join(root, 'tmp'));
    const tar = spawn('tar', ['-C', root, '-c', '.'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const spawned = new Promise<never>((_, reject) => tar.once('error', reject));
    const changes = [`CMD ${JSON.stringify(relayCommand)}`];
    const reply = await Promise.race([docker.importImage(tar.stdout, { repo: repository, tag, changes }), spawned]);
    // The engine goes on after it has begun to answer.
    for await (const _ of reply);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
