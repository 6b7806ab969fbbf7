import { sha256, signTransaction } from '@orb/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { chain, testFunction } from '../../test/scripted-super-node.ts';
import { TestNode } from '../../test/test-node.ts';

let t: TestNode;
beforeEach(() => {
  t = new TestNode();
});
afterEach(() => t.close());

const text = ({ body }: { body: Uint8Array }) => Buffer.from(body).toString();
const counter = (name: string) => testFunction(name, 'let calls = 0; export default () => ++calls', { concurrency: 8 });

test('jobs of one function share an instance; those of another function with the same code never do', async () => {
  await t.start();
  const [mine, yours] = [counter('mine'), counter('yours')];
  expect(mine.request.version).toBe(yours.request.version);
  await t.superNode.seed(mine);
  await t.superNode.seed(yours);
  expect(text(await t.superNode.run(mine))).toBe('1');
  expect(text(await t.superNode.run(mine))).toBe('2');
  expect(text(await t.superNode.run(yours))).toBe('1');
});

test('a decommissioned version’s running job comes to its end', async () => {
  await t.start();
  const fn = testFunction(
    'slow',
    'export default { fetch: () => new Promise((done) => { globalThis.finishSlow = () => done(new Response("whole")); }) }',
  );
  await t.superNode.seed(fn);
  const run = t.superNode.run(fn);
  const slow = globalThis as { finishSlow?: () => void };
  await expect.poll(() => slow.finishSlow).toBeDefined();
  const body = { function: fn.request.function, sequence: 1, action: { type: 'decommission' as const } };
  t.superNode.link!.notify('drop', {
    function: fn.request.function,
    version: fn.request.version,
    transaction: signTransaction(chain, 'function.control', body, [fn.control]),
  });
  await t.superNode.until(() => t.superNode.offers.at(-1)!.seeds.length === 0);
  slow.finishSlow!();
  delete slow.finishSlow;
  expect(text(await run)).toBe('whole');
});

test('a version whose code is spoilt on disk is refused, and no longer offered', async () => {
  await t.startSeeded();
  await t.store.delete(t.fn.manifest.code.sha256);
  await expect(t.superNode.run(t.fn)).rejects.toMatchObject({ code: 'node-refused', details: { reason: 'load' } });
  await t.superNode.until(() => t.superNode.offers.at(-1)!.seeds.length === 0);
  expect(await t.superNode.seed(t.fn)).toEqual({ seeding: true });
  expect(text(await t.superNode.run(t.fn))).toContain('hello');
});

test('code that does not load is the function’s fault, in words', async () => {
  await t.start();
  const fn = testFunction('broken', `throw new Error("no ${sha256('x').slice(0, 4)}")`);
  await t.superNode.seed(fn);
  const { header, trailer } = await t.superNode.run(fn);
  expect(header.status).toBe(502);
  expect(trailer.receipt[8]).toBe('load-failed');
  expect(trailer.error).toContain(`no ${sha256('x').slice(0, 4)}`);
});
