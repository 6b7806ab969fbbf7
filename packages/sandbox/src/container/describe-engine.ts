import type { MachineFact } from '../machine-facts.ts';
import { Engine, type EngineInfo } from './engine.ts';

interface EngineVersion {
  readonly Version?: string;
  readonly Components?: readonly { readonly Name?: string; readonly Version?: string }[];
}

/** Which engine answers on this computer: Docker's, or podman's in its place. @param socketPath where; else where they usually listen */
export async function describeEngine(socketPath?: string): Promise<MachineFact[]> {
  const name = 'container engine';
  try {
    const { docker } = new Engine({ owner: 'doctor', socketPath });
    const [version, info] = (await Promise.all([docker.version(), docker.info()])) as [EngineVersion, EngineInfo];
    const podman = version.Components?.find((component) => /podman/i.test(component.Name ?? ''));
    const rootless = info.SecurityOptions?.some((option) => /rootless/.test(option));
    const words = podman ? `podman ${podman.Version ?? ''}` : `Docker ${version.Version ?? ''}`;
    const runtimes = Object.keys(info.Runtimes ?? {}).join(', ');
    return [
      { name, found: true, words: `${words}${rootless ? ', rootless' : ''}, cgroup v${info.CgroupVersion ?? '1'}`.slice(0, 100) },
      { name: 'engine runtimes', found: true, words: runtimes.slice(0, 100) || 'not told' },
    ];
  } catch {
    return [{ name, found: false, words: 'neither Docker nor podman answers' }];
  }
}
