import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('measure.ts', import.meta.url));

/** Whether this system can tie a process to one core. */
export function canPin(): boolean {
  return spawnSync('taskset', ['--version']).status === 0;
}

/** Without a limit, the heap of a program that makes much to throw away grows with the memory of the machine. */
const heapMiB: Readonly<Record<string, number>> = { fill: 256, reopen: 256 };

/** Runs a measurement in a process of its own, on one core where the system can do that. */
export async function measurePinned<T>(name: string, ...args: readonly (string | number)[]): Promise<T> {
  const limit = heapMiB[name] === undefined ? [] : [`--max-old-space-size=${heapMiB[name]}`];
  const command = [process.execPath, ...limit, program, name, ...args.map(String)];
  // The last core: interrupts and other programs mostly begin with the first.
  const [file, ...rest] = canPin() ? ['taskset', '-c', String(lastCore()), ...command] : command;
  const child = spawn(file!, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  const stop = () => child.kill('SIGTERM');
  process.once('SIGINT', stop);
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += String(data)));
  await once(child, 'close');
  process.off('SIGINT', stop);
  const last = output.trimEnd().split('\n').at(-1);
  if (!last) throw new Error(`The measurement ${name} has failed; what it said stands above.`);
  return JSON.parse(last) as T;
}

function lastCore(): number {
  const cores = spawnSync('nproc', { encoding: 'utf8' });
  return Math.max(0, Number(cores.stdout) - 1);
}
