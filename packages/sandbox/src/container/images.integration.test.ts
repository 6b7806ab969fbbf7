import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { jobOf, textOf } from '../conformance.ts';
import { startDockerDaemon, whyNoDocker, type DockerDaemon } from '../../test/docker-daemon.ts';
import { guardRegistry } from '../../test/guarded-registry.ts';
import { imageProgram, TestImages, type TestImage } from '../../test/test-images.ts';
import type { PullProgress } from '../port.ts';
import type { ContainerSandboxOptions } from './container-options.ts';
import { ContainerSandbox } from './container-sandbox.ts';
import { ownerLabel } from './hardened-container.ts';

const reason = whyNoDocker();
const mebibyte = 1_048_576;

describe.skipIf(reason !== undefined)(`images of containers${reason ? ` (${reason})` : ''}`, () => {
  let daemon: DockerDaemon;
  let images: TestImages;
  const open: ContainerSandbox[] = [];

  beforeAll(async () => {
    daemon = await startDockerDaemon();
    images = new TestImages(daemon);
  });
  afterEach(async () => {
    for (const sandbox of open.splice(0)) await sandbox.close();
  });
  afterAll(() => daemon?.stop());

  const sandboxOf = (owner: string, more: Partial<ContainerSandboxOptions> = {}): ContainerSandbox => {
    const sandbox = new ContainerSandbox({
      owner,
      socketPath: daemon.socketPath,
      registries: { [daemon.registry]: null },
      spares: 0,
      ...more,
    });
    open.push(sandbox);
    return sandbox;
  };
  /** Four MiB that nothing else has. */
  const large = async (name: string): Promise<TestImage> => {
    const base = await images.base({ files: { 'data/blob': randomBytes(4 * mebibyte) } });
    return images.make(base, { name, changes: ['ENTRYPOINT ["/bin/sh","-c"]'] });
  };
  const isHere = async ({ reference }: TestImage) =>
    daemon.docker
      .getImage(reference)
      .inspect()
      .then(
        () => true,
        () => false,
      );
  const runOn = async (sandbox: ContainerSandbox, image: TestImage, script: string) => {
    const instance = await sandbox.start(imageProgram(image, 'job'));
    const result = await instance.invoke(
      jobOf(undefined, { timeoutMs: 30_000, path: `/?${new URLSearchParams({ arg: script }).toString()}` }),
    );
    const text = await textOf(result);
    return { instance, text, ...(await result.finished) };
  };

  it('are fetched once, before any job, with progress', async () => {
    const image = await large('fetched');
    const seen: PullProgress[] = [];
    const told: (readonly PullProgress[])[] = [];
    const sandbox = sandboxOf('fetched', { onPull: (progress) => void (seen.push(progress), told.push(sandbox.fetching())) });
    expect(sandbox.fetching()).toEqual([]);
    await sandbox.prepare(imageProgram(image, 'job'));
    expect(seen.at(-1)).toMatchObject({ image: image.reference, totalBytes: expect.any(Number) as number });
    expect(seen.at(-1)!.receivedBytes).toBeGreaterThan(4 * mebibyte - 1);
    expect(told).toEqual(seen.map((progress) => [progress]));
    expect(sandbox.fetching()).toEqual([]);
    const before = seen.length;
    expect(await runOn(sandbox, image, 'echo here')).toMatchObject({ text: 'here\n', outcome: 'ok' });
    expect(seen.length).toBe(before);
  });

  it('are those of the digest, or none', async () => {
    const sandbox = sandboxOf('digest');
    const program = imageProgram(await large('pinned'), 'job');
    const other = '0'.repeat(64);
    const wrong = [
      { image: program.image.replace(/@.*/, ':latest') },
      { image: program.image.replace(/@.*/, `@sha256:${other}`) },
      { image: program.image.replace(/@.*/, `@sha256:${other}`), sha256: other },
      { code: new TextEncoder().encode('no manifest') },
      { image: `--privileged@sha256:${program.sha256}` },
      { image: `../../x@sha256:${program.sha256}` },
    ];
    for (const change of wrong) await expect(sandbox.prepare({ ...program, ...change })).rejects.toMatchObject({ code: 'load-failed' });
  });

  it('come from a private registry with the login that the provider gives, and not without', async () => {
    const login = { username: 'provider', password: 'of the test' };
    const guarded = await guardRegistry(daemon.registry, login);
    try {
      const image = await large('private');
      const reference = image.reference.replace(daemon.registry, guarded.host);
      const program = { ...imageProgram(image, 'job'), image: reference };
      await expect(sandboxOf('nologin', { registries: { [guarded.host]: null } }).prepare(program)).rejects.toMatchObject({
        code: 'load-failed',
      });
      await sandboxOf('login', { registries: { [guarded.host]: login } }).prepare(program);
    } finally {
      guarded.close();
    }
  });

  it('are not asked for inside the owner’s network, unless the owner lists the registry', async () => {
    const guarded = await guardRegistry(daemon.registry, { username: 'a', password: 'b' });
    try {
      const image = await large('inside');
      const sandbox = sandboxOf('inside', { registries: {} });
      for (const host of [guarded.host, 'localhost:5000', '10.0.0.1:5000', '169.254.169.254', 'registry:5000']) {
        const program = { ...imageProgram(image, 'job'), image: image.reference.replace(daemon.registry, host) };
        await expect(sandbox.prepare(program)).rejects.toMatchObject({
          code: 'load-failed',
          message: expect.stringMatching(/public internet/) as string,
        });
      }
      await expect(
        sandboxOf('listed', { registries: {}, onlyListedRegistries: true }).prepare(imageProgram(image, 'job')),
      ).rejects.toMatchObject({ code: 'load-failed' });
      expect(guarded.asked).toEqual([]);
    } finally {
      guarded.close();
    }
  });

  it('make room when the disk for them is full: used longest ago first, running never', async () => {
    const [a, b, c, d] = [await large('a'), await large('b'), await large('c'), await large('d')] as const;
    const sandbox = sandboxOf('room', { imageDiskMiB: 13 });
    const { instance } = await runOn(sandbox, a, 'true');
    await sandbox.prepare(imageProgram(b, 'job'));
    expect([await isHere(a), await isHere(b)]).toEqual([true, true]);
    await sandbox.prepare(imageProgram(c, 'job'));
    // a was used longest ago, and its instance lives.
    expect([await isHere(a), await isHere(b), await isHere(c)]).toEqual([true, false, true]);
    await instance.kill();
    await sandbox.prepare(imageProgram(c, 'job'));
    await sandbox.prepare(imageProgram(d, 'job'));
    expect([await isHere(a), await isHere(c), await isHere(d)]).toEqual([false, true, true]);
    expect(sandbox.imageBytes).toBeLessThanOrEqual(13 * mebibyte);
    const one = await runOn(sandbox, c, 'true');
    const two = await runOn(sandbox, d, 'true');
    await expect(sandbox.prepare(imageProgram(a, 'job'))).rejects.toMatchObject({ code: 'store-full' });
    await Promise.all([one.instance.kill(), two.instance.kill()]);
  });

  it('that were fetched in an earlier life are counted and make room too', async () => {
    const [a, b] = [await large('earlier'), await large('later')];
    await sandboxOf('lives', { imageDiskMiB: 8 }).prepare(imageProgram(a, 'job'));
    await open.pop()!.close();
    const next = sandboxOf('lives', { imageDiskMiB: 8 });
    await next.probe();
    expect(next.imageBytes).toBeGreaterThan(4 * mebibyte);
    await next.prepare(imageProgram(b, 'job'));
    expect([await isHere(a), await isHere(b)]).toEqual([false, true]);
  });

  it('that the owner has are used, and neither counted nor removed', async () => {
    const [own, other] = [await large('own'), await large('other')];
    for await (const _ of await daemon.docker.pull(own.reference));
    const sandbox = sandboxOf('owners', { imageDiskMiB: 8 });
    expect(await runOn(sandbox, own, 'echo used')).toMatchObject({ text: 'used\n' });
    expect(sandbox.imageBytes).toBe(0);
    await sandbox.prepare(imageProgram(other, 'job'));
    expect(await isHere(own)).toBe(true);
  });

  it('that unfold to more than is left are stopped, and leave nothing', async () => {
    const base = await images.base({ files: { 'data/zeros': new Uint8Array(300 * mebibyte) }, compress: true });
    const bomb = await images.make(base, { name: 'bomb', changes: ['ENTRYPOINT ["/bin/sh","-c"]'] });
    const sandbox = sandboxOf('bomb', { imageDiskMiB: 40 });
    await expect(sandbox.prepare(imageProgram(bomb, 'job'))).rejects.toMatchObject({
      code: 'store-full',
      message: expect.stringMatching(/unfolds|needs more disk/) as string,
    });
    expect([await isHere(bomb), sandbox.imageBytes]).toEqual([false, 0]);
  });

  it('cannot choose root, a volume on the owner’s disk, or a check of their own', async () => {
    const base = await images.base();
    const changes = ['ENTRYPOINT ["/bin/sh","-c"]', 'USER root', 'VOLUME /data', 'VOLUME /tmp', 'HEALTHCHECK touch /tmp/checked'];
    const image = await images.make(base, { name: 'wishes', changes });
    const sandbox = sandboxOf('wishes', { tmpMiB: 8 });
    const { text } = await runOn(
      sandbox,
      image,
      'id -u; df -m /data | tail -1 | tr -s " " | cut -d" " -f1,2; echo x > /data/x && echo kept',
    );
    expect(text).toBe('65534\ntmpfs 8\nkept\n');
    const { Volumes: volumes } = await daemon.docker.listVolumes();
    expect(volumes ?? []).toEqual([]);
    const escaping = await images.make(base, { name: 'escaping', changes: ['VOLUME /proc/sys', 'CMD ["/bin/true"]'] });
    await expect(sandbox.prepare(imageProgram(escaping, 'job'))).rejects.toMatchObject({ code: 'load-failed' });
  });

  it('keep their own user where it is a number that is not root’s', async () => {
    const image = await images.make(await images.base(), {
      name: 'user',
      changes: ['ENTRYPOINT ["/bin/sh","-c"]', 'USER 1000:1000'],
    });
    expect((await runOn(sandboxOf('user'), image, 'id -u; id -g; echo x > /tmp/x && echo kept')).text).toBe('1000\n1000\nkept\n');
  });

  it('and containers of a node that crashed: the processes end at once, the rest goes at the next start', async () => {
    const server = 'trap "" TERM; while :; do nc -l -p $PORT; done';
    const image = await images.make(await images.base(), { name: 'crash', changes: [`CMD ${JSON.stringify(['/bin/sh', '-c', server])}`] });
    const { code, ...program } = imageProgram(image, 'http');
    const options = { owner: 'crashing', socketPath: daemon.socketPath, registries: { [daemon.registry]: null }, spares: 0 };
    const script = fileURLToPath(new URL('../../test/crashing-node.ts', import.meta.url));
    const argument = JSON.stringify({ options, program: { ...program, manifest: Buffer.from(code).toString('base64') } });
    const child = spawn(process.execPath, [script, argument], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(child.stdout, 'data');
      const filters = { label: [`${ownerLabel}=crashing`] };
      const running = await daemon.docker.listContainers({ filters });
      const served = running.find(({ Command: command }) => !command.includes('relay'))!;
      const ended = daemon.docker.getContainer(served.Id).wait();
      child.kill('SIGKILL');
      expect(await ended).toMatchObject({ StatusCode: 137 });
      await sandboxOf('crashing').probe();
      expect(await daemon.docker.listContainers({ all: true, filters })).toEqual([]);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
