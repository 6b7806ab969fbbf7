import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { findProgram, startDockerDaemon, whyNoDocker, type DockerDaemon } from '../../test/docker-daemon.ts';
import { imageProgram, TestImages, type TestImage } from '../../test/test-images.ts';
import { jobOf, textOf } from '../conformance.ts';
import type { LentLimits } from '../port.ts';
import { ContainerSandbox } from './container-sandbox.ts';

const reason = whyNoDocker();
const lent: LentLimits = {
  cores: 64,
  memoryMiB: 1_024,
  priority: 'normal',
  imageDiskMiB: 1_024,
  containerCores: 1,
  containerRuntime: undefined,
  onlyListedRegistries: false,
};

describe.skipIf(reason !== undefined)(`what the owner lends to containers${reason ? ` (${reason})` : ''}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'orb-runtime-'));
  /** Notes each time that the engine runs it. */
  const notes = join(folder, 'notes');
  let daemon: DockerDaemon;
  let shell: TestImage;
  let sandbox: ContainerSandbox;

  beforeAll(async () => {
    const own = join(folder, 'own-runtime');
    writeFileSync(own, `#!/bin/sh\necho "$*" >> ${notes}\nexec ${findProgram('runc')} "$@"\n`);
    chmodSync(own, 0o755);
    daemon = await startDockerDaemon({ own });
    const images = new TestImages(daemon);
    shell = await images.make(await images.base(), { name: 'shell', changes: ['ENTRYPOINT ["/bin/sh","-c"]'] });
  });
  afterEach(() => sandbox?.close());
  afterAll(async () => {
    await daemon?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const open = () =>
    (sandbox = new ContainerSandbox({ owner: 'lent', socketPath: daemon.socketPath, registries: { [daemon.registry]: null }, spares: 0 }));
  const says = async (script: string) => {
    const instance = await sandbox.start(imageProgram(shell, 'job'));
    const result = await instance.invoke(
      jobOf(undefined, { timeoutMs: 30_000, path: `/?${new URLSearchParams({ arg: script }).toString()}` }),
    );
    return textOf(result);
  };
  const noted = () => readFileSync(notes, { encoding: 'utf8', flag: 'a+' });

  it('the runtime reaches the engine, which runs functions with it and nothing before', async () => {
    await open().limit(lent);
    expect(await says('echo without')).toBe('without\n');
    expect(noted()).toBe('');
    await sandbox.limit({ ...lent, containerRuntime: 'own' });
    expect(await says('echo with')).toBe('with\n');
    expect(noted()).toMatch(/create/);
    // It shares this computer's kernel: a name alone is no wall.
    const { layers, runtimes } = await sandbox.probe();
    expect(runtimes).toEqual(['container']);
    expect(layers.find(({ name }) => name === 'containers: own kernel')).toMatchObject({ active: false });
  });

  it('a runtime that the engine does not know is refused while it runs, and told where it was set before', async () => {
    await open().limit(lent);
    await sandbox.probe();
    await expect(sandbox.limit({ ...lent, containerRuntime: 'runsc' })).rejects.toMatchObject({
      code: 'not-supported',
      message: expect.stringMatching(/no runtime runsc; it has .*runc/) as string,
      hint: expect.stringMatching(/daemon.json.*orb node set container-runtime default/) as string,
    });
    expect(await says('echo as before')).toBe('as before\n');
    await sandbox.close();
    await open().limit({ ...lent, containerRuntime: 'runsc' });
    const { runtimes, layers } = await sandbox.probe();
    expect([runtimes, layers[0]]).toEqual([
      [],
      expect.objectContaining({ active: false, remedy: expect.stringMatching(/no runtime runsc/) as string }),
    ]);
    await sandbox.limit(lent);
    expect((await sandbox.probe()).runtimes).toEqual(['container']);
  });

  it.skipIf(availableParallelism() < 2)('cores hold for all containers together: they share as many processors', async () => {
    const allowed = 'grep Cpus_allowed_list /proc/self/status | tr -s "\\t" " "';
    await open().limit({ ...lent, cores: 1.5 });
    const all = await Promise.all([says(allowed), says(allowed)]);
    expect(new Set(all)).toEqual(new Set([`Cpus_allowed_list: ${availableParallelism() - 1}\n`]));
    await sandbox.limit(lent);
    expect(await says(allowed)).toMatch(/0-/);
  });
});
