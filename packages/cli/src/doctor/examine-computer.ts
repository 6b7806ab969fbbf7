import { statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import type { SandboxReport } from '@orb/sandbox';
import { formatBytes } from '../terminal/format.ts';
import type { Finding } from './finding.ts';
import { stepsFor } from './raise-isolation.ts';

const neededNode = 24;
/** A node keeps up to 1 GiB of code, and a ledger grows. */
const wantedDiskBytes = 2 * 1_073_741_824;
const neededDiskBytes = 256 * 1_048_576;

export function examineNodeVersion(version: string): Finding {
  const name = 'Node';
  if (Number(version.split('.')[0]) >= neededNode) return { name, state: 'good', words: version };
  return { name, state: 'bad', words: `${version} is too old.`, mend: `Install Node ${neededNode} or later: https://nodejs.org` };
}

/** A missing wall is no fault: the node offers a weaker tier. Without an engine nothing runs here. */
export function examineSandbox({ tier, runtimes, layers }: SandboxReport): Finding {
  const name = 'sandbox';
  if (runtimes.length === 0) {
    return {
      name,
      state: 'bad',
      words: 'No function can run on this computer.',
      mend: layers.find(({ active }) => !active)?.remedy ?? 'See: orb node doctor',
    };
  }
  const missing = layers.filter(({ active }) => !active);
  const words = `${tier}, runs ${runtimes.join(', ')}`;
  if (missing.length === 0) return { name, state: 'good', words };
  return {
    name,
    state: 'warn',
    words: `${words}; ${missing.length} of ${layers.length} walls are missing`,
    mend: stepsFor(missing).join('; '),
  };
}

/** @param folder need not exist yet */
export async function examineDisk(folder: string): Promise<Finding> {
  const name = 'disk';
  const stat = await statfs(folder).catch(() => undefined);
  if (!stat) {
    const parent = dirname(folder);
    return parent === folder ? { name, state: 'warn', words: 'How much is free cannot be read.' } : examineDisk(parent);
  }
  const free = stat.bavail * stat.bsize;
  const words = `${formatBytes(free)} free`;
  if (free >= wantedDiskBytes) return { name, state: 'good', words };
  return {
    name,
    state: free < neededDiskBytes ? 'bad' : 'warn',
    words: `only ${words}`,
    mend: `Make room where ${folder} is, or move it: ORB_HOME=FOLDER`,
  };
}

/** @param usedBy who has the port, where that is known */
export async function examinePort(port: number, what: string, usedBy: string | undefined): Promise<Finding> {
  const name = `port ${port}`;
  if (usedBy !== undefined) return { name, state: 'good', words: `used by ${usedBy}` };
  if (await isFree(port)) return { name, state: 'good', words: `free for ${what}` };
  return {
    name,
    state: 'warn',
    words: 'another program uses it',
    mend: `orb up takes the next one, and says which; or choose: orb up --port NUMBER`,
  };
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
