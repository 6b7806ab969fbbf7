import { accessSync, constants } from 'node:fs';
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import type { IsolationTier } from '@orb/protocol';
import type { SandboxReport } from '../port.ts';
import { ControlGroups } from './control-groups.ts';
import { LentCores } from './lent-cores.ts';
import { findDeno, sharedLibraries } from './deno-binary.ts';
import { launchPlan, type Layers, type LaunchTools } from './launch-plan.ts';
import { pageBytes } from './process-stats.ts';
import { seccompFilter } from './seccomp.ts';
import { toHost } from '../harness/wire.js';

/** What this machine can do, found by doing it. */
export interface Machine {
  readonly layers: Layers;
  readonly tools: LaunchTools;
  readonly filter: Uint8Array;
  readonly pageBytes: number;
  /** Control groups that this node may make. */
  readonly groups: ControlGroups | undefined;
  readonly cores: LentCores;
  readonly report: SandboxReport;
}

const trialTimeoutMs = 10_000;
const trialMemoryMiB = 128;
const toolDirectories = ['/usr/bin', '/bin', '/usr/local/bin', '/usr/sbin'];

/**
 * @param platform as Node names it: with another than its own, this computer shows what that one would have
 * @throws OrbError `sandbox-failed` when Deno itself is missing
 */
export async function probeMachine(without: readonly (keyof Layers)[], platform: NodeJS.Platform): Promise<Machine> {
  const deno = findDeno();
  const linux = platform === 'linux';
  const bubblewrap = linux ? findTool('bwrap') : undefined;
  const tools: LaunchTools = {
    deno,
    bubblewrap,
    libraries: bubblewrap ? librariesOf(deno) : [],
    shell: platform === 'win32' ? undefined : '/bin/sh',
    setpriv: linux ? findTool('setpriv') : undefined,
    lowest: lowestPriority(platform),
  };
  const filter = process.arch === 'x64' || process.arch === 'arm64' ? seccompFilter(process.arch) : new Uint8Array();
  const groups = linux && !without.includes('groups') ? ControlGroups.open({ cores: availableParallelism() }) : undefined;
  const cores = new LentCores({ cores: availableParallelism(), groups, taskset: linux ? findTool('taskset') : undefined });
  const own = { groups: groups !== undefined, watch: linux && !without.includes('watch') };
  const { layers, trouble } = await strongest(tools, filter, new Set(without), own);
  return {
    layers,
    tools,
    filter,
    pageBytes: pageBytes(),
    groups,
    cores,
    report: describe(layers, { platform, tools, trouble, groups, cores }),
  };
}

/** Tries the layers together, strongest first, until a process comes up. */
async function strongest(
  tools: LaunchTools,
  filter: Uint8Array,
  without: ReadonlySet<keyof Layers>,
  own: Pick<Layers, 'groups' | 'watch'>,
): Promise<{ layers: Layers; trouble: string | undefined }> {
  const root = process.getuid?.() === 0;
  const on = (layer: keyof Layers, possible: boolean) => possible && !without.has(layer);
  const base = { ...own, permissions: !without.has('permissions'), limits: on('limits', tools.shell !== undefined) };
  const wrapped = { ...base, namespaces: on('namespaces', true), seccomp: on('seccomp', filter.length > 0) };
  const candidates: Layers[] = [];
  if (tools.bubblewrap && (wrapped.namespaces || wrapped.seccomp)) {
    if (on('ownUser', root)) candidates.push({ ...wrapped, ownUser: true });
    candidates.push({ ...wrapped, ownUser: false });
  }
  const bare = { ...base, namespaces: false, seccomp: false };
  if (on('ownUser', root)) candidates.push({ ...bare, ownUser: true });
  let trouble: string | undefined;
  for (const layers of candidates) {
    const failure = await tryLayers(layers, tools, filter);
    if (failure === undefined) return { layers, trouble };
    trouble ??= failure;
  }
  return { layers: { ...bare, ownUser: false }, trouble };
}

/** Starts a process with these layers and waits for its first frame; words when it does not come. */
function tryLayers(layers: Layers, tools: LaunchTools, filter: Uint8Array): Promise<string | undefined> {
  const plan = launchPlan(layers, tools, trialMemoryMiB);
  return new Promise((resolve) => {
    const child = spawn(plan.command, plan.args, {
      cwd: '/',
      env: plan.env,
      stdio: plan.bubblewrapped ? ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'] : ['pipe', 'pipe', 'pipe'],
      ...plan.user,
    });
    const timer = setTimeout(() => finish('it did not start in time'), trialTimeoutMs);
    let said = '';
    const finish = (failure: string | undefined) => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      resolve(failure);
    };
    for (const stream of child.stdio) stream?.on('error', () => {});
    child.stdio[3]?.on('data', () => {});
    const input = child.stdio[4];
    if (plan.bubblewrapped && input && 'end' in input) input.end(filter);
    child.stdout?.on('data', (bytes: Buffer) => finish(bytes[4] === toHost.ready ? undefined : 'it said something unexpected'));
    child.stderr?.on('data', (bytes: Buffer) => (said = (said + bytes.toString()).slice(-400)));
    child.on('error', (error) => finish(error.message));
    child.on('close', (code, signal) => finish(said.trim() || `it ended with ${signal ?? code}`));
  });
}

/** Set before the process begins: its threads and children can only inherit it. */
function lowestPriority(platform: NodeJS.Platform): string[] {
  if (platform === 'win32') return [];
  const [nice, ionice] = [findTool('nice'), findTool('ionice')];
  return [...(nice ? [nice, '-n', '19'] : []), ...(ionice ? [ionice, '-c', '3'] : [])];
}

function findTool(name: string): string | undefined {
  return toolDirectories
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

function librariesOf(deno: string): LaunchTools['libraries'] {
  try {
    return sharedLibraries(deno);
  } catch {
    return [];
  }
}

interface Found {
  readonly platform: NodeJS.Platform;
  readonly tools: LaunchTools;
  /** What came of the strongest layers. */
  readonly trouble: string | undefined;
  readonly groups: ControlGroups | undefined;
  readonly cores: LentCores;
}

function describe(layers: Layers, { platform, tools, trouble, groups, cores }: Found): SandboxReport {
  const tier: IsolationTier = layers.namespaces && layers.seccomp && layers.limits && layers.permissions ? 'namespaces' : 'process';
  const why = trouble ? ` It was tried, and: ${trouble}` : '';
  const elsewhere = 'Run the node on Linux, or in WSL2 or a podman machine.';
  const bubblewrapRemedy =
    platform !== 'linux'
      ? elsewhere
      : tools.bubblewrap
        ? `Allow user namespaces (Ubuntu 24.04: sysctl kernel.apparmor_restrict_unprivileged_userns=0; in a container: run the node outside of it).${why}`
        : 'Install bubblewrap (Debian, Ubuntu: sudo apt-get install bubblewrap).';
  const groupsRemedy =
    platform !== 'linux'
      ? elsewhere
      : process.getuid?.() === 0
        ? 'Even root may make none here: run the node outside of this container, or where /sys/fs/cgroup can be written.'
        : 'Start the node as root, or where systemd delegates: systemd-run --user --scope -p Delegate=yes orb node start';
  const layer = (name: string, active: boolean, stops: string, remedy: string) => ({ name, active, stops, ...(!active && { remedy }) });
  return {
    tier,
    runtimes: ['deno-2', 'wasi-1'],
    layers: [
      layer(
        'Deno permissions',
        layers.permissions,
        'files, network, environment, other programs, native libraries',
        'Never switch it off but in tests.',
      ),
      layer(
        'namespaces (bubblewrap)',
        layers.namespaces,
        'what an escape from the engine would see: files, processes, network',
        bubblewrapRemedy,
      ),
      layer('seccomp', layers.seccomp, 'sockets, new processes, tracing, mounts and most kernel bugs', bubblewrapRemedy),
      layer('resource limits', layers.limits, 'core dumps, written files, descriptors, huge buffers', 'Run the node on Linux or macOS.'),
      layer(
        'own user',
        layers.ownUser,
        'the node owner’s files and processes, should all else fail',
        `Start the node as root with its files readable by nobody, or as a user that owns nothing else.`,
      ),
      layer('memory watch', layers.watch, 'more memory than the manifest allows, within 25 ms', elsewhere),
      layer(
        `control groups${groups ? ` (v${groups.version}: ${groups.controllers.join(', ')})` : ''}`,
        groups?.controllers.length === 3,
        'memory and thread bombs; more memory than is lent; processes left behind',
        groupsRemedy,
      ),
      layer(
        `lent cores${cores.by ? ` (${cores.by})` : ''}`,
        cores.by !== undefined,
        cores.by === 'affinity' ? 'more cores than are lent, in whole ones' : 'more cores than are lent',
        platform === 'linux' ? 'Install taskset (util-linux).' : 'Lend all cores here, and fewer jobs at once: orb node set slots 2',
      ),
      layer(
        'lowest priority',
        tools.lowest.length > 0,
        'functions that slow down the owner’s own programs',
        'Install nice (coreutils) and ionice (util-linux).',
      ),
    ],
  };
}
