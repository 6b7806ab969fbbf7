import { afterAll, beforeAll, describe } from 'vitest';
import { servingConformance, servingSource } from '../conformance.ts';
import { startDockerDaemon, whyNoDocker, type DockerDaemon } from '../../test/docker-daemon.ts';
import { imageProgram, nodeServer, TestImages } from '../../test/test-images.ts';
import { ContainerSandbox } from './container-sandbox.ts';

const reason = whyNoDocker();

describe.skipIf(reason !== undefined)(`containers${reason ? ` (${reason})` : ''}`, () => {
  let daemon: DockerDaemon;
  beforeAll(async () => {
    daemon = await startDockerDaemon();
  });
  afterAll(() => daemon?.stop());

  servingConformance({
    name: 'container',
    create: () => new ContainerSandbox({ owner: 'conformance', socketPath: daemon.socketPath, registries: { [daemon.registry]: null } }),
    async program() {
      const images = new TestImages(daemon);
      const base = await images.base({ node: true, files: { 'app/function.mjs': servingSource, 'app/server.mjs': nodeServer } });
      const image = await images.make(base, {
        name: 'served',
        changes: ['CMD ["node","--max-old-space-size=4000","/app/server.mjs"]', 'EXPOSE 3000'],
      });
      return imageProgram(image, 'http');
    },
  });
});
