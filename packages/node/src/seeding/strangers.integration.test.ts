import { DenoSandbox } from '@orb/sandbox/deno';
import { afterEach, expect, test } from 'vitest';
import { TestNode } from '../../test/test-node.ts';

let t: TestNode;
afterEach(() => t.close());

/** A node whose owner has set nothing about isolation, on a computer that has what one with this system would have. */
async function nodeOn(platform: NodeJS.Platform, own: { readonly owner?: string; readonly minIsolation?: 'process' } = {}) {
  t = new TestNode();
  const { owner, minIsolation } = own;
  return t.start(
    { ...(owner !== undefined && { owner }), settings: { minIsolation } as object },
    { bundles: new DenoSandbox({ spares: 0, platform }) },
  );
}

test.each(['darwin', 'win32'] as const)(
  'on %s strangers’ code is refused by default, and both sides are told why; the owner’s own is taken',
  async (platform) => {
    const node = await nodeOn(platform);
    expect(node.status().offer.isolation).toBe('process');
    expect(await t.superNode.seed(t.fn)).toEqual({
      seeding: false,
      reason: 'This computer isolates it by process alone; its owner takes functions of others from namespaces on.',
    });
    expect(t.superNode.fetched).toBe(0);
    expect(t.log.join('\n')).toMatch(/functions of other accounts are not taken, images aside\. Raise it: orb node doctor\./);
    await t.close();

    await nodeOn(platform, { owner: t.fn.request.account });
    expect(await t.superNode.seed(t.fn)).toEqual({ seeding: true });
    await t.close();

    await nodeOn(platform, { minIsolation: 'process' });
    expect(await t.superNode.seed(t.fn)).toEqual({ seeding: true });
  },
);

test.runIf(process.platform === 'linux')('where every wall stands it is taken', async (context) => {
  const node = await nodeOn('linux');
  if (node.status().offer.isolation === 'process' && process.env['CI'] !== 'true') context.skip('bubblewrap cannot be used here');
  expect(node.status().offer.isolation).toBe('namespaces');
  expect(await t.superNode.seed(t.fn)).toEqual({ seeding: true });
});
