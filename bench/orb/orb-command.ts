import { spawn, type ChildProcess } from 'node:child_process';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));

/** What every `orb` of one bench network is started with. */
export interface OrbEnvironment {
  /** Accounts and keys of the run live here, nothing of the person's own. */
  readonly home: string;
  readonly gateway?: string;
  /** Flags of Node for processes that stay up. */
  readonly nodeFlags: readonly string[];
}

/** A process of the network that stays up. */
export interface OrbProcess {
  readonly pid: number;
  /** What it said when it was ready. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** Lets it end in good order, as Ctrl-C does. */
  stop(): Promise<void>;
}

/** Bounds on starting, on a command that ends by itself, and on stopping, milliseconds. */
const startMs = 30_000;
const commandMs = 60_000;
const stopMs = 30_000;
/** How much of its words are kept to explain a failure. */
const tailChars = 4_000;

/** Runs one `orb … --json` to its end. @throws Error with what it said when it fails */
export async function runOrb(args: readonly string[], environment: OrbEnvironment): Promise<Readonly<Record<string, unknown>>> {
  const child = start(main, [...args, '--json'], { ...environment, nodeFlags: [] });
  child.stdin?.end();
  const out = tail(child.stdout, Number.POSITIVE_INFINITY);
  const err = tail(child.stderr, tailChars);
  const code = await exited(child, commandMs);
  if (code !== 0) throw new Error(`orb ${args.join(' ')} ended with ${code}:\n${err()}${out()}`);
  return JSON.parse(out()) as Readonly<Record<string, unknown>>;
}

/** Starts an `orb … start --json` and resolves with its first line. It ends with this process, however that ends. */
export function startOrb(args: readonly string[], environment: OrbEnvironment): Promise<OrbProcess> {
  return startProcess(main, [...args, '--json', '--stop-with-parent'], environment);
}

/** Starts a module that says a line of JSON when it is ready, and ends when its standard input does. */
export async function startProcess(module: string, args: readonly string[], environment: OrbEnvironment): Promise<OrbProcess> {
  const child = start(module, args, environment);
  const out = tail(child.stdout, tailChars);
  const err = tail(child.stderr, tailChars);
  const stop = async () => {
    child.kill('SIGTERM');
    await exited(child, stopMs);
  };
  try {
    const ready = JSON.parse(await firstLine(child, out, startMs)) as Readonly<Record<string, unknown>>;
    return { pid: child.pid ?? -1, ready, stop };
  } catch (cause) {
    await stop();
    throw new Error(`${basename(module)} ${args.join(' ')} did not come up:\n${err()}${out()}`, { cause });
  }
}

function start(module: string, args: readonly string[], { home, gateway, nodeFlags }: OrbEnvironment): ChildProcess {
  return spawn(process.execPath, [module, ...args], {
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: home,
      ORB_HOME: home,
      ...(gateway !== undefined && { ORB_GATEWAY: gateway }),
      ...(nodeFlags.length > 0 && { NODE_OPTIONS: nodeFlags.join(' ') }),
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Keeps the last `most` characters of a stream, and keeps it flowing. */
function tail(stream: NodeJS.ReadableStream | null, most: number): () => string {
  let text = '';
  stream?.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-most);
  });
  return () => text;
}

function firstLine(child: ChildProcess, out: () => string, withinMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`It said nothing for ${withinMs} ms.`)), withinMs);
    const look = () => {
      if (!out().includes('\n')) return;
      clearTimeout(timer);
      child.stdout?.off('data', look);
      resolve(out().split('\n', 1)[0] ?? '');
    };
    child.stdout?.on('data', look);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      reject(new Error(`It ended with ${signal ?? code}.`));
    });
  });
}

/** Its exit code; it is killed when it takes too long. */
function exited(child: ChildProcess, withinMs: number): Promise<number | string> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode ?? child.signalCode ?? 0);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), withinMs);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve(code ?? signal ?? 0);
    });
  });
}
