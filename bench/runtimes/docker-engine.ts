import { startDockerDaemon, whyNoDocker } from '../../packages/sandbox/test/docker-daemon.ts';
import { TestImages, type TestImage } from '../../packages/sandbox/test/test-images.ts';
import { server } from './functions.ts';
import type { EngineImage, Engines } from './runtime.ts';

/** A Docker Engine of the bench's own with the images of its functions; without one the rows of containers are left out. */
export async function startDocker(): Promise<{ readonly docker: Engines['docker']; readonly reason?: string; stop(): Promise<void> }> {
  const reason = whyNot();
  if (reason !== undefined) return { docker: undefined, reason, stop: () => Promise.resolve() };
  const daemon = await startDockerDaemon();
  try {
    const images = new TestImages(daemon);
    const base = await images.base({ node: true });
    const make = async (name: string, command: readonly string[]) =>
      imageOf(await images.make(base, { name, changes: [`CMD ${JSON.stringify(command)}`] }));
    const { socketPath, registry } = daemon;
    const docker = {
      socketPath,
      registry,
      server: await make('bench-server', ['node', '-e', server]),
      job: await make('bench-job', ['cat']),
    };
    return { docker, stop: () => daemon.stop() };
  } catch (error) {
    await daemon.stop();
    throw error;
  }
}

/** A bench that lacks an engine says so and goes on, in CI too. */
function whyNot(): string | undefined {
  try {
    return whyNoDocker();
  } catch (error) {
    return (error as Error).message;
  }
}

function imageOf({ reference, digest, manifest }: TestImage): EngineImage {
  return { reference, digest, manifest: new TextDecoder().decode(manifest) };
}
