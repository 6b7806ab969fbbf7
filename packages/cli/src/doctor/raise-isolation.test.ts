import { expect, test } from 'vitest';
import { raiseIsolation } from './raise-isolation.ts';

const weak = { tier: 'process', runtimes: ['deno-2'], layers: [] } as const;

test('macOS and Windows are told which Linux gives them a real tier', () => {
  expect(raiseIsolation('darwin', weak).join('\n')).toMatch(/podman machine init[^]*Docker Desktop/);
  expect(raiseIsolation('win32', weak).join('\n')).toMatch(/wsl --install[^]*bubblewrap[^]*Docker Desktop/);
});

test('Linux is told what each missing wall needs, and nothing where all stand', () => {
  const missing = { name: 'seccomp', active: false, stops: 'calls', remedy: 'Install bubblewrap.' };
  expect(raiseIsolation('linux', { ...weak, layers: [missing, { ...missing, name: 'namespaces' }] })).toEqual([
    'seccomp, namespaces: Install bubblewrap.',
    'For container images: sudo apt-get install docker.io',
  ]);
  expect(
    raiseIsolation('linux', { tier: 'namespaces', runtimes: ['deno-2', 'container'], layers: [{ ...missing, active: true }] }),
  ).toEqual([]);
});
