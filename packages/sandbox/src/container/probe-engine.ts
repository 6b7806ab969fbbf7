import { OrbError } from '@orb/protocol';
import type { SandboxReport } from '../port.ts';
import type { Engine, EngineInfo } from './engine.ts';
import { functionUser, hardenedContainer, type ContainerPlan } from './hardened-container.ts';
import { trialCommand } from './relay-image.ts';
import { StreamReader, Tail } from './stream-reader.ts';

const trialTimeoutMs = 30_000;
const trialOutputBytes = 65_536;

/** What relay/trial.js says, run as a function's container would be. */
interface Trial {
  readonly uid: number;
  readonly effective: string;
  readonly bounding: string;
  readonly noNewPrivs: string;
  readonly seccomp: string;
  /** Whether a write was answered by anything but EROFS. */
  readonly wrote: boolean;
  /** Whether the root is mounted so. */
  readonly readOnly: boolean;
  readonly networks: readonly string[];
  readonly kernel: string;
}

/** @see probeEngine */
export interface EngineReport extends SandboxReport {
  /** Each container has a kernel of its own, and so a network and a process tree that no other can share. */
  readonly ownKernel: boolean;
}

/**
 * What the engine enforces, found by running a container.
 * @param plan the helper's
 * @param facts what the engine says of itself
 * @throws OrbError `sandbox-failed`
 */
export async function probeEngine(
  plan: ContainerPlan,
  facts: EngineInfo,
  dependencies: { readonly engine: Engine },
): Promise<EngineReport> {
  const seen = await runTrial(plan, dependencies.engine);
  const none = /^0+$/;
  // gVisor and micro virtual machines bring a kernel of their own, whose filter is not this one's.
  const ownKernel = plan.runtime !== undefined && facts.KernelVersion !== undefined && seen.kernel !== facts.KernelVersion;
  // gVisor knows no set-user-id programs, and so says nothing of the flag that forbids them.
  const noNewPrivileges = seen.noNewPrivs === '1' || (ownKernel && seen.noNewPrivs === '');
  const layer = (name: string, active: boolean, stops: string, remedy: string) => ({ name, active, stops, ...(!active && { remedy }) });
  const walls = [
    layer(
      'containers: own user without capabilities',
      seen.uid === Number.parseInt(functionUser) && none.test(seen.effective) && none.test(seen.bounding) && noNewPrivileges,
      'mounts, devices, other users’ files and processes, set-user-id programs',
      'Use an engine that follows User, CapDrop and no-new-privileges.',
    ),
    layer(
      'containers: seccomp',
      seen.seccomp === '2' || ownKernel,
      'the system calls that most kernel bugs need',
      'Start dockerd without --seccomp-profile=unconfined.',
    ),
    layer(
      'containers: read-only root',
      !seen.wrote || (ownKernel && seen.readOnly),
      'changed programs, and files on the owner’s disk',
      'Use an engine that follows ReadonlyRootfs.',
    ),
    layer(
      'containers: no network',
      seen.networks.length === 0,
      'every connection, to the internet and to the owner’s network',
      'Use an engine that follows NetworkMode none.',
    ),
    layer(
      'containers: limits',
      facts.MemoryLimit !== false && facts.CpuCfsQuota !== false && facts.PidsLimit !== false,
      'memory, processor and fork bombs',
      'Give the engine the memory, cpu and pids controllers (cgroup v2, or rootless Docker with delegation).',
    ),
  ];
  const strong = walls.every(({ active }) => active);
  return {
    ownKernel,
    tier: strong ? 'container' : 'process',
    // Below this, strangers' images are refused.
    runtimes: strong ? ['container'] : [],
    layers: [
      ...walls,
      layer(
        'containers: swap limit',
        facts.SwapLimit !== false,
        'memory pushed out to the owner’s disk',
        'Boot with swapaccount=1 (cgroup v1), or without swap.',
      ),
      layer('containers: own kernel', ownKernel, 'bugs in the system calls of this computer’s kernel', ownKernelRemedy(facts)),
    ],
  };
}

/** gVisor's own network would look for the engine's, which no function has: it is told that there is none. */
function ownKernelRemedy({ Runtimes: known = {} }: EngineInfo): string {
  const choose = 'orb node set container-runtime runsc (one-shot jobs then, no servers)';
  if (Object.hasOwn(known, 'runsc')) return `The engine has gVisor: ${choose}.`;
  return `Install gVisor (Debian, Ubuntu: apt install runsc), name it to the engine ("runtimes": {"runsc": {"path": "/usr/bin/runsc", "runtimeArgs": ["--network=none"]}} in /etc/docker/daemon.json), then: ${choose}.`;
}

async function runTrial(plan: ContainerPlan, engine: Engine): Promise<Trial> {
  const { init: _, autoRemove: __, ...rest } = plan;
  const container = await engine.create(
    hardenedContainer({ ...rest, user: functionUser, stdin: false, writable: ['/tmp'], command: trialCommand }),
  );
  try {
    const stream = await engine.attach(container, false);
    const output = new Tail(trialOutputBytes);
    const errors = new Tail(1_000);
    const reader = new StreamReader({ stdout: (bytes) => output.push(bytes), stderr: (bytes) => errors.push(bytes) });
    stream.on('data', (bytes: Buffer) => reader.push(bytes));
    const ended = new Promise<void>((resolve) => stream.once('end', resolve).once('close', () => resolve()));
    await engine.start(container);
    const timer = setTimeout(() => stream.destroy(), trialTimeoutMs);
    await ended;
    clearTimeout(timer);
    return parseTrial(output.toString(), errors.toString());
  } finally {
    await engine.remove(container);
  }
}

function parseTrial(output: string, errors: string): Trial {
  try {
    return JSON.parse(output) as Trial;
  } catch (cause) {
    throw new OrbError('sandbox-failed', {
      message: `A trial container did not run: ${errors.trim().slice(-300) || 'it said nothing'}.`,
      cause,
    });
  }
}
