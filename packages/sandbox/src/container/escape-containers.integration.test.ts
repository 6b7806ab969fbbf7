import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { containerJob } from '../../test/escape/container-job.ts';
import { containerServer, hostileServer, pathOf } from '../../test/escape/container-server.ts';
import { escapesOf } from '../../test/escape/escape-suite.ts';
import { isAttempt, type Attempt, type Column } from '../../test/escape/tries.ts';
import { findProgram, startDockerDaemon, whyNoDocker, type DockerDaemon } from '../../test/docker-daemon.ts';
import { imageProgram, TestImages, type TestImage } from '../../test/test-images.ts';
import { ContainerSandbox } from './container-sandbox.ts';

const reason = whyNoDocker();
const runsc = findProgram('runsc');
const noGvisor = reason ?? (runsc ? undefined : 'not installed: runsc (Debian: runsc)');
if (noGvisor !== undefined && process.env['CI'] === 'true') throw new Error(`With CI=true gVisor must be there: ${noGvisor}`);
const argument = (script: string) => ({ path: `/?${new URLSearchParams({ arg: script }).toString()}` });

/** Where memory ends, the kernel ends gVisor itself, and the engine does not always hear why. */
const inGvisor = Object.fromEntries(
  Object.entries(containerJob).map(([what, cell]) => [
    what,
    typeof cell === 'string'
      ? cell
      : cell.map((each) =>
          isAttempt(each) && each.outcome === 'out-of-memory'
            ? { ...each, outcome: /out-of-memory|function-failed/, error: /memory|ended/ }
            : each,
        ),
  ]),
) as Column;

describe.skipIf(reason !== undefined)(`images that mean harm${reason ? ` (${reason})` : ''}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'orb-gvisor-'));
  let daemon: DockerDaemon;
  let shell: TestImage;
  let server: TestImage;

  beforeAll(async () => {
    const gvisor = join(folder, 'gvisor');
    // As the doctor says: there is no network that it could look for.
    writeFileSync(gvisor, `#!/bin/sh\nexec ${runsc} --network=none "$@"\n`);
    chmodSync(gvisor, 0o755);
    daemon = await startDockerDaemon(runsc ? { gvisor } : {});
    const images = new TestImages(daemon);
    shell = await images.make(await images.base(), { name: 'shell', changes: ['ENTRYPOINT ["/bin/sh","-c"]'] });
    server = await images.make(await images.base({ node: true, files: { 'server.mjs': hostileServer } }), {
      name: 'hostile',
      changes: ['CMD ["node","/server.mjs"]'],
    });
  });
  afterAll(async () => {
    await daemon?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const open = (runtime?: string) => () =>
    new ContainerSandbox({
      owner: 'escapes',
      socketPath: daemon.socketPath,
      registries: { [daemon.registry]: null },
      spares: runtime === undefined ? 1 : 0,
      ...(runtime !== undefined && { runtime }),
    });
  const job = () => Promise.resolve(imageProgram(shell, 'job'));
  const http = () => Promise.resolve(imageProgram(server, 'http'));
  const jobs = {
    column: containerJob,
    tier: 'container' as const,
    shared: true,
    program: job,
    good: job,
    ask: ({ code }: Attempt) => argument(code),
    call: { ask: argument('echo 42'), answer: '42' },
  };

  escapesOf('a container’s job', { ...jobs, open: open() });
  escapesOf('a container’s server', {
    column: containerServer,
    tier: 'container',
    shared: true,
    open: open(),
    program: http,
    good: http,
    ask: ({ code }) => ({ path: pathOf(code) }),
    call: { ask: { method: 'GET', path: '/fine' }, answer: 'fine' },
  });

  describe.skipIf(noGvisor !== undefined)(`with gVisor as the engine’s runtime${noGvisor ? ` (${noGvisor})` : ''}`, () => {
    escapesOf('a job', { ...jobs, column: inGvisor, first: true, open: open('gvisor') });

    it('every wall stands, a kernel of its own among them, and servers are refused in clear words', async () => {
      const sandbox = open('gvisor')();
      try {
        const { layers } = await sandbox.probe();
        expect(layers.filter(({ active }) => !active)).toEqual([]);
        expect(layers.map(({ name }) => name)).toContain('containers: own kernel');
        await expect(sandbox.prepare(await http())).rejects.toMatchObject({
          code: 'not-supported',
          message: expect.stringMatching(/one-shot jobs alone: its container runtime gvisor/) as string,
          hint: expect.stringMatching(/container-runtime default/) as string,
        });
      } finally {
        await sandbox.close();
      }
    });
  });
});
