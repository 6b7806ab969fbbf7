import { utf8 } from '@orb/protocol';
import type { ImageProgram } from '@orb/sandbox';
import { ContainerSandbox } from '@orb/sandbox/container';
import { withoutDocker as missing, type EngineImage, type Engines, type OpenRuntime, type Runtime } from './runtime.ts';
import { SandboxInstance } from './sandbox-instance.ts';

const memoryMiB = 128;

/** A server in a container, reached through Orb's relay. */
export const serverRuntime: Runtime = {
  id: 'container-server',
  name: 'container, server',
  missing,
  async open({ docker }): Promise<OpenRuntime> {
    const { program, ready, bare, close } = await openContainers(docker!, 'server');
    const start = async (sandbox: ContainerSandbox) =>
      new SandboxInstance(await sandbox.start(program), { concurrency: 16, streams: true });
    return {
      rest: () => new Promise((resolve) => setTimeout(resolve, 1_500)),
      async startCold(from, body) {
        const instance = await start(from === 'spare' ? ready : bare);
        const answer = await instance.echo(body);
        void instance.stop();
        return answer;
      },
      startWarm: () => start(ready),
      close,
    };
  },
};

/** A container for each call, from standard input to standard output. */
export const jobRuntime: Runtime = {
  id: 'container-job',
  name: 'container, one for each call',
  missing,
  async open({ docker }): Promise<OpenRuntime> {
    const { program, bare, close } = await openContainers(docker!, 'job');
    const instance = new SandboxInstance(await bare.start(program), { concurrency: 1, streams: false });
    return { startCold: (_from, body) => instance.echo(body), close };
  },
};

async function openContainers({ socketPath, registry, ...images }: NonNullable<Engines['docker']>, kind: 'server' | 'job') {
  const options = { socketPath, registries: { [registry]: null }, freezeAfterMs: 60_000 };
  const ready = new ContainerSandbox({ ...options, owner: `bench${kind}ready`, spares: 1 });
  const bare = new ContainerSandbox({ ...options, owner: `bench${kind}bare`, spares: 0 });
  const program = programOf(images[kind], kind === 'server' ? 'http' : 'job');
  const close = async () => {
    await Promise.all([ready.close(), bare.close()]);
  };
  try {
    await ready.prepare(program);
    await bare.prepare(program);
    return { program, ready, bare, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function programOf({ reference, digest, manifest }: EngineImage, handler: ImageProgram['handler']): ImageProgram {
  return { kind: 'image', image: reference, sha256: digest.slice(7), code: utf8(manifest), handler, memoryMiB, startTimeoutMs: 60_000 };
}
