import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { firstMissing, type Step } from './read-guide.ts';

const top = fileURLToPath(new URL('../../', import.meta.url));
const main = join(top, 'packages/cli/src/main.ts');
/** What a clone consists of, as far as commands look at it. */
const clone = ['package.json', 'package-lock.json', 'scripts', 'packages', 'node_modules'];

/** The usual port, and the one in its place. */
type Ports = readonly (readonly [string, string])[];

interface Left {
  readonly process: ChildProcess;
  readonly ended: Promise<void>;
}

/**
 * Somebody with a new computer who types what a guide says, word for word: an empty HOME, a clone, a shell. Only the
 * ports are others, because this machine may use the usual ones: they are put in place of these everywhere.
 */
export class Reader {
  readonly #folder: string;
  readonly #ports: Ports;
  readonly #left: Left[] = [];

  private constructor(folder: string, ports: Ports) {
    this.#folder = folder;
    this.#ports = ports;
  }

  static async begin(): Promise<Reader> {
    const folder = await mkdtemp(join(tmpdir(), 'orb-guide-'));
    const [gateway, links, second, secondLinks, peer] = await freePorts();
    const reader = new Reader(folder, [
      ['7080', String(gateway)],
      ['7443', String(links)],
      ['7081', String(second)],
      ['7444', String(secondLinks)],
      ['7090', String(peer)],
    ]);
    for (const part of ['home/.orb/network', 'bin', 'clone']) await mkdir(join(folder, part), { recursive: true, mode: 0o700 });
    for (const part of clone) await symlink(join(top, part), join(folder, 'clone', part));
    // As if the network had run on these ports before: it takes them again.
    await writeFile(join(folder, 'home/.orb/network/up.json'), JSON.stringify({ v: 1, ports: { gateway, links } }));
    await writeFile(join(folder, 'bin/orb'), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`, { mode: 0o755 });
    await writeFile(join(folder, 'where'), join(folder, 'clone'));
    return reader;
  }

  /** @throws Error when a command fails, or something that is shown is not seen */
  async follow(steps: readonly Step[]): Promise<void> {
    for (const step of steps) await (step.kind === 'run' ? this.#run(step) : this.#leave(step));
  }

  /** Ctrl-C in every terminal, the newest first; then nothing is left. */
  async end(): Promise<void> {
    for (const { process: child, ended } of this.#left.toReversed()) {
      if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGINT');
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 3 });
  }

  async #run(step: Step): Promise<void> {
    const { child, ended, seen } = await this.#type(step);
    await ended;
    const missing = firstMissing(this.#shown(step), seen());
    if (child.exitCode === 0 && missing === undefined) return;
    throw failure(step, child.exitCode === 0 ? `does not show: ${missing}` : `ended with ${child.exitCode}`, seen());
  }

  async #leave(step: Step): Promise<void> {
    const { child, ended, seen } = await this.#type(step);
    this.#left.push({ process: child, ended });
    await new Promise<void>((resolve, reject) => {
      const look = () => firstMissing(this.#shown(step), seen()) === undefined && resolve();
      for (const stream of [child.stdout!, child.stderr!]) stream.on('data', look);
      void ended.then(() => reject(failure(step, `ended before it showed: ${firstMissing(this.#shown(step), seen())}`, seen())));
    });
  }

  #shown({ shown }: Step): readonly string[] {
    return shown.map((line) => this.#withPorts(line));
  }

  async #type({ script }: Step) {
    const where = join(this.#folder, 'where');
    const cwd = (await readFile(where, 'utf8')).trim();
    const text = `set -euo pipefail; trap 'pwd > "${where}"' EXIT\n${this.#withPorts(script)}`;
    const child = spawn('bash', ['-c', text], { cwd, env: this.#env(), stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let seen = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (seen += chunk));
    const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
    return { child, ended, seen: () => seen };
  }

  #withPorts(text: string): string {
    return this.#ports.reduce((result, [usual, ours]) => result.replaceAll(usual, ours), text);
  }

  #env(): NodeJS.ProcessEnv {
    return {
      HOME: join(this.#folder, 'home'),
      PATH: `${join(this.#folder, 'bin')}:${process.env['PATH'] ?? ''}`,
      NO_COLOR: '1',
      NODE_COMPILE_CACHE: join(top, 'node_modules/.cache/orb-e2e'),
      npm_config_update_notifier: 'false',
    };
  }
}

function failure({ place, script }: Step, what: string, seen: string): Error {
  return new Error(`${place} ${what}\n--- typed\n${script}--- seen\n${seen}`);
}

/** Ports that are free now. */
async function freePorts(): Promise<readonly [number, number, number, number, number]> {
  const servers = Array.from({ length: 5 }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ports.push((server.address() as AddressInfo).port);
  }
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  return ports as [number, number, number, number, number];
}
