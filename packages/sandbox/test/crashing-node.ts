/** Starts a server in a container, says so, and waits to be killed: what a node is at the moment of a crash. */
import { ContainerSandbox } from '../src/container/index.ts';
import type { ImageProgram } from '../src/port.ts';

const { options, program } = JSON.parse(process.argv[2]!) as {
  options: ConstructorParameters<typeof ContainerSandbox>[0];
  program: ImageProgram & { manifest: string };
};
const sandbox = new ContainerSandbox(options);
await sandbox.start({ ...program, code: Buffer.from(program.manifest, 'base64') });
process.stdout.write('started\n');
setInterval(() => {}, 1_000_000);
