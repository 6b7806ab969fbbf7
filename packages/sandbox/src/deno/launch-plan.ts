import { fileURLToPath } from 'node:url';
import { dirname } from 'node:path';
import type { SharedLibrary } from './deno-binary.ts';

/** Everything that stands between a function and the computer it runs on; each can be tested with the others off. */
export interface Layers {
  /** Deno grants nothing. Off only in tests of the other layers. */
  readonly permissions: boolean;
  /** bubblewrap: own namespaces, a root that holds Deno and the harness alone. */
  readonly namespaces: boolean;
  /** Refuses system calls. Loaded by bubblewrap. */
  readonly seccomp: boolean;
  /** Resource limits of the process. */
  readonly limits: boolean;
  /** Runs as the user `nobody`; possible where the node itself runs as root. */
  readonly ownUser: boolean;
  /** Control groups: the kernel counts memory, threads and processor time of each process, and of all together. */
  readonly groups: boolean;
  /** The host looks at each process's memory every 25 ms. */
  readonly watch: boolean;
}

/** The tools found on this machine. */
export interface LaunchTools {
  readonly deno: string;
  readonly libraries: readonly SharedLibrary[];
  readonly shell: string | undefined;
  readonly bubblewrap: string | undefined;
  /** util-linux's setpriv: ends the process with its parent where there is no bubblewrap to do it. */
  readonly setpriv: string | undefined;
  /** Words before a command that give it the lowest priority, for processor and disk. */
  readonly lowest: readonly string[];
}

/** What to spawn. */
export interface LaunchPlan {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
  /** bubblewrap writes the process's number to descriptor 3 and reads the filter from descriptor 4. */
  readonly bubblewrapped: boolean;
}

const harnessDirectory = dirname(fileURLToPath(new URL('../harness/main.js', import.meta.url)));
const nobody = 65_534;
/** Address space that V8 and Deno reserve before any code is loaded: 558 MiB measured; with room for a next version. */
const reservedMiB = 640;
const openFiles = 128;

/**
 * All that the process sees of an environment. Without the first, `localStorage` and `caches` write to disk; without the
 * last, every thread keeps a heap of its own, 3 MB together.
 */
const environment = { DENO_DIR: '/proc/nope', DENO_WEBGPU_BACKEND: 'none', DENO_NO_UPDATE_CHECK: '1', MALLOC_ARENA_MAX: '1' };

/**
 * The command line of one function process.
 * @param memoryMiB the most that any program it may be given can use
 * @param wordsBefore what its own words follow: those give it its priority, and its cores
 */
export function launchPlan(layers: Layers, tools: LaunchTools, memoryMiB: number, wordsBefore: readonly string[] = []): LaunchPlan {
  const bubblewrapped = layers.namespaces || layers.seccomp;
  const inside = bubblewrapped
    ? { deno: '/deno', harness: '/harness/main.js' }
    : { deno: tools.deno, harness: `${harnessDirectory}/main.js` };
  const paths = layers.namespaces ? inside : { deno: tools.deno, harness: `${harnessDirectory}/main.js` };
  let words = [paths.deno, ...denoFlags(memoryMiB, layers.permissions), paths.harness];
  if (bubblewrapped) words = [tools.bubblewrap!, ...bubblewrapFlags(layers, tools), '--', ...words];
  else if (tools.setpriv) words = [tools.setpriv, '--pdeathsig', 'KILL', '--', ...words];
  if (layers.limits && tools.shell) words = [tools.shell, '-c', limitScript(memoryMiB), 'sh', ...words];
  const [command, ...args] = [...wordsBefore, ...words];
  return {
    command: command!,
    args,
    env: environment,
    user: layers.ownUser ? { uid: nobody, gid: nobody } : undefined,
    bubblewrapped,
  };
}

function denoFlags(memoryMiB: number, permissions: boolean): string[] {
  const heap = [`--max-old-space-size=${memoryMiB}`, '--max-semi-space-size=4', `--wasm-max-mem-pages=${Math.min(65_536, memoryMiB * 16)}`];
  // For the harness alone, which takes it out of the function's reach.
  const v8 = [...heap, '--expose-gc'];
  return [
    'run',
    '--quiet',
    '--no-prompt',
    '--no-config',
    '--no-lock',
    '--no-npm',
    '--no-remote',
    '--no-check',
    ...(permissions ? ['--ignore-env'] : ['--allow-all']),
    `--v8-flags=${v8.join(',')}`,
  ];
}

/** No core dumps, no files written, few descriptors, and a bound on memory that makes large buffers fail in a way code can catch. */
function limitScript(memoryMiB: number): string {
  return `ulimit -c 0; ulimit -f 0; ulimit -n ${openFiles}; ulimit -d ${(reservedMiB + memoryMiB) * 1024}; exec "$@"`;
}

function bubblewrapFlags(layers: Layers, tools: LaunchTools): string[] {
  const flags = ['--die-with-parent', '--new-session', '--clearenv', '--cap-drop', 'ALL', '--info-fd', '3'];
  if (layers.seccomp) flags.push('--seccomp', '4');
  if (!layers.namespaces) return [...flags, '--dev-bind', '/', '/'].concat(environmentFlags());
  flags.push('--unshare-all', '--as-pid-1', '--hostname', 'fn', '--uid', String(nobody), '--gid', String(nobody));
  flags.push('--ro-bind', tools.deno, '/deno', '--ro-bind', harnessDirectory, '/harness');
  for (const { source, target } of tools.libraries) flags.push('--ro-bind', source, target);
  // V8 finds its stack in /proc/self/maps; it is the process's own namespace. There is no /dev: nothing needs it.
  flags.push('--proc', '/proc', '--remount-ro', '/', '--chdir', '/');
  return [...flags, ...environmentFlags()];
}

function environmentFlags(): string[] {
  return Object.entries(environment).flatMap(([name, value]) => ['--setenv', name, value]);
}
