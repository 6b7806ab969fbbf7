import { jobIdOf, limits, ticketFromRow, utf8 } from '@orb/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import type { Script } from '../testing/scripted-node.ts';
import { TestSuperNodes } from '../testing/test-super-nodes.ts';

let t: TestSuperNodes | undefined;
afterEach(async () => {
  await t?.stop();
  t = undefined;
});

/** Functions that call each other in a circle, each at home with another super node than the one before it. */
async function circle(names: readonly string[]): Promise<string> {
  const net = (t = await TestSuperNodes.start(['a', 'b']));
  const sideOf = (name: string) => (names.indexOf(name) % 2 === 0 ? 'a' : 'b');
  const script: Script = {
    run: async (request, body, node) => {
      const [name, depth] = JSON.parse(Buffer.from(body).toString()) as [string, number];
      const next = names[(names.indexOf(name) + 1) % names.length]!;
      const job = jobIdOf(ticketFromRow(request.ticket));
      const wish = { job, owner: 'bob', name: next, withinMs: 5_000 };
      // What the last of them was told comes back through all.
      const answer = await node.callFunction(wish, utf8(JSON.stringify([next, depth + 1]))).then(
        ({ text }) => text,
        ({ code }: { code: string }) => JSON.stringify({ code, depth, side: node.id }),
      );
      return { headers: [['content-type', 'application/json']], body: answer };
    },
  };
  for (const side of ['a', 'b']) await net.addNode(`node-${side}`, side, { ...script, offer: { labels: { side }, slots: 32 } });
  for (const name of names) await net.deploy(name, { labels: { side: sideOf(name) }, timeoutMs: 6_000 }, []);
  for (const side of ['a', 'b']) await net.openAllowance(side, { maxUnits: '400000000' });
  await net.heard('a', 'b', Math.floor(names.length / 2));
  await net.heard('b', 'a', Math.ceil(names.length / 2));
  const first = names[0]!;
  const answer = await fetch(`${net.url('a')}/fn/bob/${first}`, {
    method: 'POST',
    headers: { 'orb-mode': 'event' },
    body: JSON.stringify([first, 1]),
  });
  return answer.text();
}

describe('a chain of calls that goes to and fro between two super nodes', () => {
  test('ends at the depth that one super node alone would allow', async () => {
    expect(JSON.parse(await circle(['one', 'two', 'three', 'four']))).toMatchObject({ code: 'call-limit', depth: limits.callDepth });
  });

  test('ends when a function stands in it as often as it may', async () => {
    expect(JSON.parse(await circle(['ping', 'pong']))).toMatchObject({ code: 'call-limit', depth: 2 * limits.callRepeats });
  });
});
