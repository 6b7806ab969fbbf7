import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Orb } from '@orb/sdk';
import { checkBooks, settled } from './books.ts';
import { Flood } from './flood.ts';
import { Network } from './network.ts';
import { until } from './until.ts';

/*
 * One caller floods. Nothing here is measured by the clock: beside each call of a guest stands how many calls of the flood
 * were served while the guest waited. Were guests served after all who came before them, that would be everybody who
 * waits; as it is they wait for their turn.
 */

const slots = 4;
const waiting = 400;
/** More than slots and waiting calls together: some are refused all the time. */
const connections = 500;
/** Calls that end while one waits for its turn: what runs already, and the flood's turns between. */
const mostBefore = 10 * slots;

let network: Network;
let flood: Flood | undefined;

beforeAll(async () => {
  network = await Network.start({ nodes: [], config: { maxWaitingCalls: waiting, lostGraceMs: 500 } });
  await network.startNode('ant', ['--memory', '2048', '--slots', String(slots)]);
  const terms = ['--memory', '64', '--timeout', '5s', '--budget', '2'];
  const source = 'export default async (input) => { await new Promise((resolve) => setTimeout(resolve, 10)); return input; };';
  await Promise.all([network.deploy('flooded', source, terms), network.deploy('quiet', source, terms)]);
});
afterEach(() => {
  flood?.stop();
  flood = undefined;
});
afterAll(() => network?.stop());

/** The flood's node has no slot free, its calls wait and more are refused. */
async function startFlood(fn: string): Promise<Flood> {
  const started = (flood = new Flood(`${network.gateway}/fn/alice/${fn}`, { from: '127.0.0.2', connections }));
  await until('the flood to be served and refused', async () => started.served > slots && started.refused > 100);
  return started;
}

/** Calls one after the other. @returns how many calls of the flood were served during each */
async function callBeside(flooding: Flood, times: number, callOnce: (count: number) => Promise<unknown>): Promise<number[]> {
  const before: number[] = [];
  for (let count = 0; count < times; count++) {
    const served = flooding.served;
    expect(await callOnce(count)).toEqual({ count });
    before.push(flooding.served - served);
  }
  return before;
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

describe('beside a caller who floods a function', () => {
  test.each(['flooded', 'quiet'])('another who calls %s on the same full node over HTTP has every call served, in its turn', async (fn) => {
    const flooding = await startFlood('flooded');
    const before = await callBeside(flooding, 40, async (count) => {
      const { status, json } = await network.call(fn, { event: { count } });
      return status === 200 ? json : { status, json };
    });
    expect(median(before)).toBeLessThan(mostBefore);
    expect(flooding.refused).toBeGreaterThan(100);
  });

  test('another who has a link is served in its turn too', async () => {
    const flooding = await startFlood('flooded');
    const orb = new Orb({ url: network.gateway, transport: 'link', retries: 0 });
    try {
      const before = await callBeside(flooding, 40, async (count) => (await orb.call('alice/flooded', { count })).output);
      expect(median(before)).toBeLessThan(mostBefore);
    } finally {
      await orb.close();
    }
  });

  test('when it is over, the next call is as ever, and the books balance', async () => {
    const flooding = await startFlood('flooded');
    flooding.stop();
    await until('the last calls to end', async () => (await network.linkedNodes()).every(({ active }) => active === 0));
    for (let count = 0; count < 20; count++) expect((await network.call('quiet', { event: { count } })).json).toEqual({ count });
    await settled(network);
    await checkBooks(network);
  });
});
