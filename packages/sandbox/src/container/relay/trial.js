// Run in a container as a function's would be: says what it can do there.
import { readFileSync, writeFileSync } from 'node:fs';
import { networkInterfaces, release } from 'node:os';

const status = readFileSync('/proc/self/status', 'utf8');
const field = (/** @type {string} */ name) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '';

process.stdout.write(
  JSON.stringify({
    uid: process.getuid?.(),
    effective: field('CapEff'),
    bounding: field('CapBnd'),
    noNewPrivs: field('NoNewPrivs'),
    seccomp: field('Seccomp'),
    wrote: canWrite('/orb-trial') || canWrite('/orb/orb-trial'),
    readOnly: isReadOnly(),
    kernel: release(),
    networks: Object.keys(networkInterfaces()).filter((name) => name !== 'lo'),
  }),
);

/** @param {string} path */
function canWrite(path) {
  try {
    writeFileSync(path, '');
    return true;
  } catch (error) {
    // Not allowed is not enough: another user could be.
    return /** @type {NodeJS.ErrnoException} */ (error).code !== 'EROFS';
  }
}

/** What the kernel says of the root's mount (proc_pid_mounts(5)): one that asks for rights first never comes to say EROFS. */
function isReadOnly() {
  const lines = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const options = lines.map((line) => line.split(' ')).findLast(([, path]) => path === '/')?.[3] ?? '';
  return options.split(',').includes('ro');
}
