import type { SandboxReport } from '@orb/sandbox';

/** What tiers mean, weakest first, for somebody who lends a computer. */
export const tierMeanings = {
  process: 'Deno alone: one hole in it is a hole into your account',
  namespaces: 'own files, processes and network, few system calls',
  container: 'every wall of the container engine',
  vm: 'a kernel of its own (no engine here offers it yet)',
} as const;

/**
 * How to get stronger walls on this computer, in steps that can be typed; nothing where they all stand.
 * @param platform as Node names it
 */
export function raiseIsolation(platform: string, { tier, runtimes, layers }: SandboxReport): readonly string[] {
  if (platform === 'darwin') {
    return [
      'A podman machine is a Linux in which the node has all walls: brew install podman && podman machine init && podman machine start, then podman machine ssh, and install and start Orb there.',
      'Docker Desktop runs container images (tier container) for a node in such a Linux.',
    ];
  }
  if (platform === 'win32') {
    return [
      'WSL2 is a Linux in which the node has all walls: wsl --install -d Debian, then inside it: sudo apt-get install bubblewrap, and install and start Orb there.',
      'Docker Desktop with the WSL2 engine runs container images (tier container) for a node inside WSL2.',
    ];
  }
  const images = runtimes.includes('container') || layers.some(({ active, name }) => !active && name.startsWith('containers'));
  return [...stepsFor(layers), ...(images || tier === 'vm' ? [] : ['For container images: sudo apt-get install docker.io'])];
}

/** What raises the walls that are missing: one step may raise more than one. */
export function stepsFor(layers: SandboxReport['layers']): readonly string[] {
  const missing = layers.filter(({ active, remedy }) => !active && remedy !== undefined);
  const remedies = new Set(missing.map(({ remedy }) => remedy!));
  return [...remedies].map((remedy) => {
    const names = missing.filter((layer) => layer.remedy === remedy).map(({ name }) => name);
    return `${names.join(', ')}: ${remedy}`;
  });
}
