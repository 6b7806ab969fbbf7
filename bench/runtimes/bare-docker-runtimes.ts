import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import Docker from 'dockerode';
import { privateMiB } from '../measure/processes.ts';
import { DockerOutput } from './docker-output.ts';
import { withoutDocker as missing, type EngineImage, type Engines, type OpenRuntime, type Runtime, type WarmInstance } from './runtime.ts';

/** Docker alone: a container that copies its standard input, over an attached stream. */
export const bareContainerRuntime: Runtime = {
  id: 'bare-container',
  name: 'bare Docker, attached stdio',
  missing,
  async open({ docker }): Promise<OpenRuntime> {
    const engine = await openEngine(docker!);
    return {
      async startCold(_from, body) {
        const instance = await attach(engine, docker!.job);
        const answer = await instance.echo(body);
        await instance.stop();
        return answer;
      },
      startWarm: () => attach(engine, docker!.job),
      close: () => Promise.resolve(),
    };
  },
};

/** Docker alone: one more process in a container that runs already, for each call. */
export const execRuntime: Runtime = {
  id: 'bare-exec',
  name: 'bare Docker, exec for each call',
  missing,
  async open({ docker }): Promise<OpenRuntime> {
    const engine = await openEngine(docker!);
    const container = await engine.createContainer({
      Image: docker!.job.reference,
      Cmd: ['sleep', '3600'],
      HostConfig: { NetworkMode: 'none' },
    });
    await container.start();
    return {
      async startCold(_from, body) {
        const exec = await container.exec({ Cmd: ['cat'], AttachStdin: true, AttachStdout: true });
        const stream = await exec.start({ hijack: true, stdin: true });
        stream.write(body);
        const answer = await take(new DockerOutput(stream), body.length);
        stream.end();
        return answer;
      },
      close: () => container.remove({ force: true }) as Promise<void>,
    };
  },
};

/** With the image at hand: fetching it is no part of a start. */
async function openEngine({ socketPath, job }: NonNullable<Engines['docker']>): Promise<Docker> {
  const engine = new Docker({ socketPath });
  const pulling = await engine.pull(job.reference);
  await new Promise<void>((resolve, reject) => engine.modem.followProgress(pulling, (error) => (error ? reject(error) : resolve())));
  return engine;
}

async function attach(engine: Docker, { reference }: EngineImage): Promise<WarmInstance> {
  const container = await engine.createContainer({
    Image: reference,
    Cmd: ['cat'],
    OpenStdin: true,
    StdinOnce: true,
    HostConfig: { NetworkMode: 'none' },
  });
  const stream = await container.attach({ stream: true, stdin: true, stdout: true, hijack: true });
  await container.start();
  const output = new DockerOutput(stream);
  const copy = async (bytes: number) => {
    const writing = write(stream as unknown as Duplex, bytes);
    for (let left = bytes; left > 0;) left -= (await output.next()).length;
    await writing;
  };
  return {
    // Bytes come back without bounds between them: one call at a time.
    concurrency: 1,
    async echo(body) {
      stream.write(body);
      return take(output, body.length);
    },
    async *download(bytes) {
      await copy(bytes);
      yield new Uint8Array(0);
    },
    upload: copy,
    async memoryMiB() {
      const { State } = await container.inspect();
      return privateMiB(State.Pid);
    },
    stop: () => container.remove({ force: true }) as Promise<void>,
  };
}

async function write(stream: Duplex, bytes: number): Promise<void> {
  const piece = Buffer.alloc(65_536, 'x');
  for (let left = bytes; left > 0; left -= piece.length) {
    if (!stream.write(left < piece.length ? piece.subarray(0, left) : piece)) await once(stream, 'drain');
  }
}

async function take(output: DockerOutput, bytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let left = bytes; left > 0;) {
    const part = await output.next();
    parts.push(part);
    left -= part.length;
  }
  return Buffer.concat(parts);
}
