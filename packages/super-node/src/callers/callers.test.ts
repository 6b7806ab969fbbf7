import { requestHash, resultHash, sha256, utf8, type CallerAnswer } from '@orb/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import type { LinkAnswer } from '@orb/link';
import type { Script } from '../testing/scripted-node.ts';
import { TestSuperNode } from '../testing/test-super-node.ts';

let superNode: TestSuperNode | undefined;
afterEach(async () => {
  await superNode?.stop();
  superNode = undefined;
});

/** A function on one scripted node. */
async function start(script: Script = {}, config: Parameters<typeof TestSuperNode.start>[0] = {}, manifest: object = {}) {
  const net = (superNode = await TestSuperNode.start(config));
  const node = await net.addNode('node', script);
  await net.deploy('hello', manifest);
  return { net, node };
}

const ask = (changes: object = {}) => ({
  fn: 'bob/hello',
  mode: 'event',
  headers: [['content-type', 'application/json']],
  bytes: 5,
  ...changes,
});
const text = async (answer: LinkAnswer) => new TextDecoder().decode(await answer.body.bytes(10_000_000));
const head = (answer: LinkAnswer) => answer.header as CallerAnswer;

describe('a call over a caller’s link', () => {
  test('runs, is answered with what its receipt covers, and is paid', async () => {
    const { net, node } = await start({ run: () => ({ status: 201, headers: [['x-made', 'yes']], body: '"made"' }) });
    const link = await net.callerLink();
    const answer = await link.call('call', ask({ path: '/a?b=1' }), utf8('"abc"'));
    expect(await text(answer)).toBe('"made"');
    const { status, headers, job, call, end } = head(answer);
    expect({ status, headers }).toEqual({ status: 201, headers: [['x-made', 'yes']] });
    expect(end!.receipt).toEqual({
      request: requestHash('POST', '/a?b=1', sha256('"abc"')),
      result: resultHash(201, sha256('"made"')),
      bytesIn: 5,
      bytesOut: 6,
    });
    expect(node.jobs[0]).toMatchObject({ method: 'POST', path: '/a?b=1', mode: 'event' });
    expect(call).toBe(node.jobs[0]!.ticket[3]);
    await expect.poll(async () => (await net.net.ledger.job(job))?.state, { timeout: 5_000 }).toBe('paid');
  });
});
