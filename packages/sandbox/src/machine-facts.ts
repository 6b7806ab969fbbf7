import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';

/** One thing that walls are made of, as it is found on this computer. */
export interface MachineFact {
  readonly name: string;
  readonly found: boolean;
  readonly words: string;
}

export interface MachineFactsOptions {
  /** Where `proc` is. @default / */
  readonly root?: string;
  /** @default process.platform */
  readonly platform?: NodeJS.Platform;
  /** Tries to make a user namespace. @default by util-linux's unshare */
  readonly tryNamespace?: () => Promise<boolean>;
}

/** What this computer's system brings; nothing is changed by looking. */
export async function machineFacts(options: MachineFactsOptions = {}): Promise<MachineFact[]> {
  const { root = '/', platform = process.platform, tryNamespace = makesNamespace } = options;
  const system = { name: 'system', found: platform === 'linux', words: `${platform} ${release()}` };
  if (platform !== 'linux') return [{ ...system, words: `${platform}: walls around processes are Linux’s` }];
  const read = async (path: string) => (await readFile(join(root, 'proc', path), 'utf8').catch(() => undefined))?.trim();
  const [most, clone, apparmor, status] = await Promise.all([
    read('sys/user/max_user_namespaces'),
    read('sys/kernel/unprivileged_userns_clone'),
    read('sys/kernel/apparmor_restrict_unprivileged_userns'),
    read('self/status'),
  ]);
  const filter = /^Seccomp:/m.test(status ?? '');
  return [
    system,
    { name: 'user namespaces', ...(forbidden(most, clone, apparmor) ?? (await tried(tryNamespace))) },
    { name: 'bubblewrap', ...(await version('bwrap')) },
    { name: 'seccomp', found: filter, words: filter ? 'in the kernel' : 'not in this kernel' },
    { name: 'gVisor', ...(await version('runsc')) },
  ];
}

type Found = Omit<MachineFact, 'name'>;

function forbidden(most: string | undefined, clone: string | undefined, apparmor: string | undefined): Found | undefined {
  if (most === undefined || most === '0') return { found: false, words: 'none (sysctl user.max_user_namespaces)' };
  if (clone === '0') return { found: false, words: 'for root alone (sysctl kernel.unprivileged_userns_clone=1 allows them)' };
  if (apparmor === '1')
    return { found: false, words: 'restricted by AppArmor (sysctl kernel.apparmor_restrict_unprivileged_userns=0 allows them)' };
  return undefined;
}

/** What no switch forbids a container, a chroot or a security module still may. */
async function tried(tryNamespace: () => Promise<boolean>): Promise<Found> {
  if (await tryNamespace()) return { found: true, words: 'can be made' };
  return { found: false, words: 'refused to this process (as in most containers), though the kernel has them' };
}

/** Where there is no unshare nobody knows, and the switches have the word. */
function makesNamespace(): Promise<boolean> {
  return new Promise((resolve) => {
    execFile('unshare', ['--user', 'true'], { timeout: 5_000 }, (error) => resolve(!error || error.code === 'ENOENT'));
  });
}

/** The first line of what a program says of its version. */
function version(program: string): Promise<Found> {
  return new Promise((resolve) => {
    execFile(program, ['--version'], { timeout: 5_000, maxBuffer: 65_536 }, (error, stdout) =>
      resolve(error ? { found: false, words: 'not installed' } : { found: true, words: stdout.split('\n', 1)[0]!.slice(0, 60) }),
    );
  });
}
