import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { root } from './install-packages.mjs';
import { runChild } from './run-child.mjs';

/** Debian packages that scripts may name: the program each brings, and what it is for. */
const known = {
  bubblewrap: {
    program: 'bwrap',
    use: 'It shuts functions into namespaces of their own. Without it this computer offers the weaker isolation tier `process`.',
  },
  zsh: { program: 'zsh', use: 'The tests complete commands in it. Without it they are skipped.' },
  fish: { program: 'fish', use: 'The tests complete commands in it. Without it they are skipped.' },
  'docker.io': { program: 'dockerd', use: 'The tests of containers start an engine of their own. Without it they are skipped.' },
  'docker-registry': {
    program: 'docker-registry',
    use: 'The tests of containers fetch images from a registry of their own. Without it they are skipped.',
  },
  chromium: { program: 'chromium', use: 'The SDK is tested in it as browsers run it. Without it those tests are skipped.' },
  'user-mode-linux': {
    program: 'linux.uml',
    use: 'The tests of control groups run in this second kernel, which has those of version 2. Without it they are skipped.',
  },
  runsc: { program: 'runsc', use: 'The tests of containers run once more in it, which is gVisor. Without it those are skipped.' },
  'busybox-static': { program: 'busybox', use: 'The tests of containers make images of it. Without it they are skipped.' },
};

/**
 * Installs Debian packages whose programs are missing. Where that is not possible it says what to install and what
 * would change.
 * @param {string[]} names of packages
 * @param {{required: boolean}} options required: throw when one is still missing
 */
export async function installDebianPackages(names, { required }) {
  if (process.platform !== 'linux') return;
  const missing = names.filter((name) => !findProgram(known[name].program));
  if (missing.length === 0) return;
  if (process.getuid() === 0 && findProgram('apt-get')) await aptInstall(missing);
  const absent = missing.filter((name) => !findProgram(known[name].program));
  for (const name of absent) {
    const install = findProgram('apt-get') ? `sudo apt-get install ${name}` : `install ${name} with your package manager`;
    console.error(`${name} is not on this computer. ${known[name].use} To add it: ${install}`);
  }
  if (required && absent.length > 0) throw new Error(`With CI=true these may not be missing: ${absent.join(', ')}.`);
}

async function aptInstall(names) {
  console.error(`Installing Debian packages: ${names.join(', ')} …`);
  const install = ['install', '-yq', '--no-install-recommends', ...names];
  if ((await aptGet(install)) === 0) return;
  console.error('Fetching the lists of Debian packages first …');
  if ((await aptGet(['update', '-q'])) === 0) await aptGet(install);
}

async function aptGet(argv) {
  const { code, stopped } = await runChild(findProgram('apt-get'), ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0', ...argv], {
    cwd: root,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 2, 2],
  });
  if (stopped) throw Object.assign(new Error('Stopped.'), { exitCode: code });
  return code;
}

function findProgram(name) {
  const directories = (process.env.PATH ?? '').split(delimiter);
  return directories.map((directory) => join(directory, name)).find((path) => existsSync(path));
}
