import { jobIdOf, limits, ticketFromRow, utf8, type RunRequest } from '@orb/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ScriptedNode } from '../testing/scripted-node.ts';
import { TestSuperNode } from '../testing/test-super-node.ts';

let net: TestSuperNode;
/** What the function `outer` does while its job is out. */
let during: (job: string, node: ScriptedNode) => Promise<unknown>;
let seen: string[];

const jobOf = (request: RunRequest) => jobIdOf(ticketFromRow(request.ticket));
const wish = (job: string, more: object = {}) => ({ job, owner: 'bob', name: 'inner', withinMs: 1_000, ...more });

beforeEach(async () => {
  net = await TestSuperNode.start();
  seen = [];
  await net.addNode('node', {
    run: async (request, body, node) => {
      if (request.mode === 'event') {
        seen.push(new TextDecoder().decode(body));
        return { headers: [['content-type', 'application/json']], body: '"inner"' };
      }
      return { body: JSON.stringify(await during(jobOf(request), node).catch((error: { code: string }) => ({ code: error.code }))) };
    },
  });
});
afterEach(() => net.stop());

async function outer(work: typeof during): Promise<unknown> {
  during = work;
  await net.deploy('inner');
  return (await fetch(await net.deploy('outer'))).json();
}

describe('a node that has a function call another', () => {
  test('gets the answer for a job that is out at it', async () => {
    expect(await outer((job, node) => node.callFunction(wish(job), utf8('[1]')))).toMatchObject({
      header: { status: 200 },
      text: '"inner"',
    });
    expect(seen).toEqual(['[1]']);
  });

  test('is refused for a job that it has not got, or has given back', async () => {
    const other = await net.addNode('other', { offer: { accepting: false } });
    let known = '';
    const stolen = await outer(async (job) => {
      known = job;
      return other.callFunction(wish(job));
    });
    expect(stolen).toEqual({ code: 'not-found' });
    const [node] = net.nodes;
    await expect(node!.callFunction(wish(known))).rejects.toMatchObject({ code: 'not-found' });
    await expect(node!.callFunction(wish('0'.repeat(32) + '-1'))).rejects.toMatchObject({ code: 'not-found' });
    expect(seen).toEqual([]);
  });

  test('cannot say that it may take longer than its own job', async () => {
    const refused = await outer(async (job, node) => {
      const codes: string[] = [];
      for (const more of [{ withinMs: 0 }, { withinMs: limits.timeoutMs.max + 1 }, { name: 'x'.repeat(100) }])
        await node.callFunction(wish(job, more)).catch((error: { code: string }) => codes.push(error.code));
      return codes;
    });
    expect(refused).toEqual(Array.from({ length: 3 }, () => 'invalid-request'));
  });

  test('cannot say who pays, or how deep the chain is: the super node knows both, and does not listen', async () => {
    const answer = await outer((job, node) => node.callFunction(wish(job, { payer: 'a'.repeat(64), path: [] })));
    expect(answer).toMatchObject({ header: { status: 200 } });
  });

  test('makes no more calls for one job than the limit, whatever it says to its function', async () => {
    const counted = await outer(async (job, node) => {
      const codes: Record<string, number> = {};
      for (let i = 0; i < limits.callsPerJob + 5; i++) {
        const code = await node.callFunction(wish(job)).then(
          () => 'ok',
          (error: { code: string }) => error.code,
        );
        codes[code] = (codes[code] ?? 0) + 1;
      }
      return codes;
    });
    expect(counted).toEqual({ ok: limits.callsPerJob, 'call-limit': 5 });
  });
});
