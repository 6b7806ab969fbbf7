/**
 * What a warm call through a container costs beside the raw engine. By hand, as root on Linux with docker.io,
 * docker-registry and busybox-static: `node packages/sandbox/bench/container-calls.ts`
 */
import { once } from 'node:events';
import { ContainerSandbox } from '../src/container/index.ts';
import { startDockerDaemon, whyNoDocker, type DockerDaemon } from '../test/docker-daemon.ts';
import { imageProgram, TestImages } from '../test/test-images.ts';
import { jobOf } from '../src/conformance/jobs.ts';
import type { Instance } from '../src/port.ts';

const calls = 3_000;
const server = `require('http').createServer((q, s) => { let b = ''; q.on('data', (d) => (b += d)); q.on('end', () => s.end(b)); }).listen(process.env.PORT)`;
const body = new TextEncoder().encode(JSON.stringify({ text: 'x'.repeat(180) }));

const reason = whyNoDocker();
if (reason !== undefined) throw new Error(`This needs a Docker Engine: ${reason}.`);
const daemon = await startDockerDaemon();
try {
  await measure(daemon);
} finally {
  await daemon.stop();
}

async function measure({ docker, registry, socketPath }: DockerDaemon): Promise<void> {
  const images = new TestImages(daemon);
  const base = await images.base({ node: true });
  const image = await images.make(base, { name: 'bench', changes: [`CMD ["node","-e",${JSON.stringify(server)}]`] });
  const job = await images.make(base, { name: 'bench-job', changes: ['CMD ["cat"]'] });
  const sandbox = new ContainerSandbox({ owner: 'bench', socketPath, registries: { [registry]: null }, freezeAfterMs: 60_000 });
  try {
    await sandbox.prepare(imageProgram(image, 'http'));
    report('attached stdio of a warm container (raw engine)', await rawAttach(docker, image.reference));
    const startedMs = performance.now();
    const instance = await sandbox.start(imageProgram(image, 'http'));
    console.log(`start of a server from a spare helper: ${(performance.now() - startedMs).toFixed(0)} ms`);
    report('warm HTTP call, one at a time', await timed(() => call(instance)));
    const burst = performance.now();
    await Promise.all(
      Array.from({ length: 32 }, async () => {
        for (let i = 0; i < calls / 32; i++) await call(instance);
      }),
    );
    console.log(`warm HTTP calls, 32 at a time: ${Math.round(calls / ((performance.now() - burst) / 1_000))} a second`);
    console.log(`private memory of the function's container: ${Math.round(instance.memoryKiB / 1024)} MiB`);
    const jobs = await sandbox.start(imageProgram(job, 'job'));
    report('job, whole', await timed(() => call(jobs), 20));
    const { setupUs, runUs } = await (await jobs.invoke(jobOf(undefined, { body }))).finished;
    console.log(`  of which set-up ${(setupUs! / 1_000).toFixed(0)} ms, run ${(runUs / 1_000).toFixed(0)} ms`);
  } finally {
    await sandbox.close();
  }
}

async function call(instance: Instance): Promise<void> {
  const { outcome, error } = await (await instance.invoke(jobOf(undefined, { job: 'bench', body }))).finished;
  if (outcome !== 'ok') throw new Error(`${outcome}: ${error}`);
}

/** The same bytes to `cat` and back over an attached stream. */
async function rawAttach(docker: DockerDaemon['docker'], image: string): Promise<number[]> {
  const container = await docker.createContainer({
    Image: image,
    Cmd: ['cat'],
    OpenStdin: true,
    StdinOnce: true,
    HostConfig: { NetworkMode: 'none' },
  });
  const stream = await container.attach({ stream: true, stdin: true, stdout: true, hijack: true });
  await container.start();
  try {
    return await timed(async () => {
      let left = 8 + body.length;
      stream.write(body);
      while (left > 0) left -= ((await once(stream, 'data')) as [Buffer])[0].length;
    });
  } finally {
    await container.remove({ force: true });
  }
}

async function timed(work: () => Promise<void>, times = calls): Promise<number[]> {
  for (let i = 0; i < times / 10; i++) await work();
  const all: number[] = [];
  for (let i = 0; i < times; i++) {
    const from = performance.now();
    await work();
    all.push(performance.now() - from);
  }
  return all.sort((a, b) => a - b);
}

function report(name: string, sorted: readonly number[]): void {
  const at = (share: number) => sorted[Math.floor(sorted.length * share)]!.toFixed(2);
  console.log(`${name}: p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, p99 ${at(0.99)} ms`);
}
