import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import Docker from 'dockerode';

/** A Docker Engine of the tests' own, with a registry beside it. Nobody else's containers are in its reach. */
export interface DockerDaemon {
  readonly socketPath: string;
  readonly docker: Docker;
  /** `127.0.0.1:PORT` of a registry that asks for no password. */
  readonly registry: string;
  readonly dataRoot: string;
  stop(): Promise<void>;
}

/** Why no engine can be started here, in words; undefined where one can. With `CI=true` that is an error. */
export function whyNoDocker(): string | undefined {
  const reason = findReason();
  if (reason !== undefined && !['', '0', 'false', undefined].includes(process.env['CI'])) {
    throw new Error(`With CI=true the tests of containers must run, and they cannot: ${reason}`);
  }
  return reason;
}

function findReason(): string | undefined {
  if (process.platform !== 'linux') return 'the tests start a Docker Engine of their own, which needs Linux';
  if (process.getuid?.() !== 0) return 'only root can start a Docker Engine';
  const missing = ['dockerd', 'docker-registry', 'busybox'].filter((name) => !findProgram(name));
  if (missing.length > 0) return `not installed: ${missing.join(', ')} (Debian: docker.io, docker-registry, busybox-static)`;
  return undefined;
}

/**
 * Starts `dockerd` and a registry on private places.
 * @param runtimes more of them, by name: path of the program
 * @throws Error with the engine's own last words
 */
export async function startDockerDaemon(runtimes: Readonly<Record<string, string>> = {}): Promise<DockerDaemon> {
  const folder = mkdtempSync(join(tmpdir(), 'orb-docker-'));
  const started: Started[] = [];
  const stop = async () => {
    for (const one of started.toReversed()) await stopProcess(one.child);
    unmountAll(folder);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const engine = await startEngine(folder, runtimes);
    started.push(engine);
    const port = await freePort();
    started.push(startRegistry(folder, port));
    const docker = new Docker({ socketPath: join(folder, 'docker.sock') });
    await answers(() => docker.ping(), engine);
    await answers(() => reach(port), started[1]!);
    return { socketPath: join(folder, 'docker.sock'), docker, registry: `127.0.0.1:${port}`, dataRoot: join(folder, 'data'), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Started {
  readonly child: ChildProcess;
  readonly log: string;
}

async function startEngine(folder: string, runtimes: Readonly<Record<string, string>>): Promise<Started> {
  mkdirSync(join(folder, 'data'));
  writeFileSync(join(folder, 'daemon.json'), '{}');
  // A name of its own in containerd: one that runs already on this computer is never shared.
  const space = `orb-${folder.slice(-6)}`;
  return run(folder, 'dockerd', [
    '--config-file',
    join(folder, 'daemon.json'),
    '--data-root',
    join(folder, 'data'),
    '--exec-root',
    join(folder, 'exec'),
    '-p',
    join(folder, 'dockerd.pid'),
    '-H',
    `unix://${join(folder, 'docker.sock')}`,
    '--containerd-namespace',
    space,
    '--containerd-plugins-namespace',
    `${space}-plugins`,
    '--bridge=none',
    '--iptables=false',
    '--ip-forward=false',
    ...Object.entries(runtimes).flatMap(([name, path]) => ['--add-runtime', `${name}=${path}`]),
  ]);
}

function startRegistry(folder: string, port: number): Started {
  const storage = `storage: {filesystem: {rootdirectory: ${join(folder, 'registry')}}}`;
  writeFileSync(join(folder, 'registry.yml'), `version: 0.1\nlog: {level: error}\n${storage}\nhttp: {addr: "127.0.0.1:${port}"}\n`);
  return run(folder, 'docker-registry', ['serve', join(folder, 'registry.yml')]);
}

function run(folder: string, name: string, args: readonly string[]): Started {
  const log = join(folder, `${name}.log`);
  const output = openSync(log, 'w');
  const child = spawn(findProgram(name)!, args, { stdio: ['ignore', output, output] });
  child.on('error', () => {});
  return { child, log };
}

/** Asks until it answers, or its process has ended. */
async function answers(ask: () => Promise<unknown>, { child, log }: Started): Promise<void> {
  for (const until = Date.now() + 30_000; ;) {
    try {
      return void (await ask());
    } catch (error) {
      if (child.exitCode === null && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 50));
      else throw new Error(`${log} ends with: ${readFileSync(log, 'utf8').slice(-1_000)}`, { cause: error });
    }
  }
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await ended;
  clearTimeout(timer);
}

/** What an engine that had to be hurried left mounted. */
function unmountAll(folder: string): void {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${folder}/`));
  for (const path of mounts.toReversed()) spawnSync(findProgram('umount')!, ['-l', path]);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function reach(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.destroy();
}

/** Where Debian puts it: a client of another origin on the way does not count. */
export function findProgram(name: string): string | undefined {
  return ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/bin']
    .map((directory) => `${directory}/${name}`)
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
