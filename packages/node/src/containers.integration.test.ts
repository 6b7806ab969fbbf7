import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WssTransport } from '@orb/link/wss';
import { receiptFromRow, utf8 } from '@orb/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDockerDaemon, whyNoDocker, type DockerDaemon } from '../../sandbox/test/docker-daemon.ts';
import { TestImages, type TestImage } from '../../sandbox/test/test-images.ts';
import { chain, ScriptedSuperNode, testFunction, testSigner } from '../test/scripted-super-node.ts';
import { startNode } from './compose.ts';
import { controlNode } from './owner-control/control-node.ts';
import type { RunningNode } from './running-node.ts';
import { changeRegistry } from './settings/registries-file.ts';

const reason = whyNoDocker();
const recipesUrl = new URL('../../../examples/containers/recipes.json', import.meta.url);
type Recipe = { readonly files: Record<string, string>; readonly node: boolean; readonly changes: string[] };
const recipes = JSON.parse(readFileSync(recipesUrl, 'utf8')) as Record<'word-count' | 'visits', Recipe>;

describe.skipIf(reason !== undefined)(`a node with a Docker Engine${reason ? ` (${reason})` : ''}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'orb-node-'));
  const superNode = new ScriptedSuperNode(testSigner('node'));
  let daemon: DockerDaemon;
  let node: RunningNode;
  let images: TestImages;

  beforeAll(async () => {
    daemon = await startDockerDaemon();
    images = new TestImages(daemon);
    await superNode.listen(new WssTransport());
    await changeRegistry(folder, daemon.registry, null);
    node = await startNode({
      dataFolder: folder,
      chain,
      signer: testSigner('node'),
      label: 'containers',
      superNodes: [{ address: superNode.address, key: superNode.signer.publicKey }],
      settings: { memoryMiB: 512, minIsolation: 'process', priority: 'normal', onBattery: 'lend' },
      engineSocket: daemon.socketPath,
    });
    await superNode.linked();
  });
  afterAll(async () => {
    await node?.stop();
    await superNode.close();
    await daemon?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const functionOf = (name: string, image: TestImage, handler: 'job' | 'http') =>
    testFunction(name, Buffer.from(image.manifest).toString(), {
      kind: 'image',
      runtime: 'container',
      handler,
      image: image.reference,
      concurrency: handler === 'job' ? 1 : 8,
      // The node offers a weaker tier to bundles; images have this one wherever they run.
      isolation: 'container',
    });

  /** One of examples/containers, made as its recipe says. */
  const example = async (name: 'word-count' | 'visits') => {
    const { files, node: withNode, changes } = recipes[name];
    const content = Object.entries(files).map(([path, file]) => [path, readFileSync(new URL(file, recipesUrl))] as const);
    return images.make(await images.base({ node: withNode, files: Object.fromEntries(content) }), { name, changes });
  };

  test('offers both runtimes', () => {
    expect(superNode.offers[0]!.runtimes).toEqual(['deno-2', 'wasi-1', 'container']);
  });

  test('seeds an image only once it is here, runs it for each call, and bills the run alone', async () => {
    const image = await example('word-count');
    const fn = functionOf('word-count', image, 'job');
    expect(await superNode.seed(fn)).toEqual({ seeding: true });
    await daemon.docker.getImage(image.reference).inspect();
    const { header, body, trailer } = await superNode.run(fn, { body: utf8('three small words') });
    expect([header.status, Buffer.from(body).toString()]).toEqual([200, '3\n']);
    const { outcome, setupUs, runUs } = receiptFromRow(trailer.receipt);
    expect([outcome, runUs > 0]).toEqual(['ok', true]);
    expect(setupUs).toBeGreaterThan(0);
    const lines = await superNode.run(fn, { body: utf8('a\nb\n'), request: { path: '/?arg=-l' } });
    expect(Buffer.from(lines.body).toString()).toBe('2\n');
  });

  test('keeps a server warm', async () => {
    const fn = functionOf('visits', await example('visits'), 'http');
    expect(await superNode.seed(fn)).toEqual({ seeding: true });
    for (const visits of [1, 2, 3]) {
      const { body } = await superNode.run(fn, { request: { path: '/hall' } });
      expect(JSON.parse(Buffer.from(body).toString())).toMatchObject({ path: '/hall', visits });
    }
  });

  describe('of another owner', () => {
    const other = mkdtempSync(join(tmpdir(), 'orb-node-'));
    const ownSuperNode = new ScriptedSuperNode(testSigner('strict'));
    const log: string[] = [];
    let strict: RunningNode;
    const set = (settings: Record<string, unknown>) => controlNode(other, { command: 'set', settings });

    beforeAll(async () => {
      await ownSuperNode.listen(new WssTransport());
      strict = await startNode(
        {
          dataFolder: other,
          chain,
          signer: testSigner('strict'),
          label: 'strict',
          superNodes: [{ address: ownSuperNode.address, key: ownSuperNode.signer.publicKey }],
          settings: { containerRuntime: 'runsc', registries: 'listed', minIsolation: 'process', onBattery: 'lend' },
          engineSocket: daemon.socketPath,
        },
        { log: (_, message) => log.push(message) },
      );
      await ownSuperNode.linked();
    });
    afterAll(async () => {
      await strict?.stop();
      await ownSuperNode.close();
      rmSync(other, { recursive: true, force: true });
    });

    test('a runtime that the engine does not know runs nothing, and the owner is told at the start', async () => {
      expect(strict.status().offer.runtimes).toEqual(['deno-2', 'wasi-1']);
      expect(log.join('\n')).toMatch(/Container images do not run here: .*no runtime runsc.*it has .*runc/);
      await set({ containerRuntime: null });
      await expect.poll(() => strict.status().offer.runtimes, { timeout: 30_000 }).toContain('container');
      await expect(set({ containerRuntime: 'nosuch' })).rejects.toMatchObject({
        code: 'not-supported',
        message: expect.stringMatching(/nosuch/) as string,
      });
      expect(strict.status().settings.containerRuntime).toBeUndefined();
    });

    test('a registry that is not on the list is not asked, from the start on', async () => {
      const image = await example('word-count');
      const elsewhere = { ...image, reference: image.reference.replace(daemon.registry, 'ghcr.io') };
      const answer = await ownSuperNode.seed(functionOf('word-count', elsewhere, 'job'));
      expect(answer).toMatchObject({ seeding: false, reason: expect.stringMatching(/does not fetch from ghcr.io/) as string });
    });
  });

  test('says why it does not seed an image that cannot be fetched', async () => {
    const image = await images.make(await images.base(), { name: 'gone', changes: ['CMD ["cat"]'] });
    const elsewhere = { ...image, reference: image.reference.replace(daemon.registry, '10.255.255.1:5000') };
    const answer = await superNode.seed(functionOf('gone', elsewhere, 'job'));
    expect(answer).toMatchObject({ seeding: false, reason: expect.stringMatching(/public internet/) as string });
  });
});
