import { parseManifest, sha256, type FunctionRecord } from '@orb/protocol';
import { describe, expect, test } from 'vitest';
import type { FunctionEntry, KnownVersion } from '../registry/function-registry.ts';
import { NodeRegistry, type NodeSession } from '../registry/node-registry.ts';
import { Scheduler, schedulerDefaults } from './scheduler.ts';

const manifest = parseManifest({
  v: 1,
  kind: 'bundle',
  runtime: 'deno-2',
  code: { sha256: sha256('code'), bytes: 1 },
  memoryMiB: 64,
  priceCap: '10',
});
const version: KnownVersion = { id: sha256('version'), function: sha256('function'), replica: sha256('replica'), number: 1, manifest };
const entry = {
  record: { id: version.function } as FunctionRecord,
  fullName: 'alice/hello',
  versions: [[version, 1]],
} as unknown as FunctionEntry;

/** Draws in [0, 1) that are the same in every run (mulberry32). */
function draws(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Lent {
  readonly name: string;
  readonly cores?: number;
  /** How long a job runs there. */
  readonly turns: number;
}

/** Has nodes run calls that come in crowds of 1 to `most` in each turn of the event loop. @returns how many each has run, and in how many frame batches */
async function run(lent: readonly Lent[], calls: number, most: number): Promise<{ jobs: number[]; batches: number }> {
  const nodes = new NodeRegistry();
  const chance = draws(7);
  const scheduler = new Scheduler(schedulerDefaults, { nodes, chance });
  const sessions = lent.map(({ name, cores = 2 }): NodeSession => {
    const offer = {
      accepting: true,
      runtimes: ['deno-2'],
      isolation: 'process',
      cores,
      memoryMiB: 1_024,
      rate: '10',
      slots: 16,
      labels: {},
    };
    const session = {
      id: sha256(name),
      label: name,
      link: { rttMs: 1 },
      offer,
      seeds: new Set(),
      held: new Set(),
      fits: new Map(),
      active: 0,
    };
    return Object.assign(session, { answerMs: undefined, reliability: 1 }) as unknown as NodeSession;
  });
  const turnsOf = new Map(sessions.map((session, i) => [session, lent[i]!.turns]));
  for (const session of sessions) {
    nodes.add(session);
    nodes.markSeeding(session, version.replica);
  }
  const jobs = new Map(sessions.map((session) => [session, 0]));
  const ending = new Map<number, NodeSession[]>();
  let batches = 0;
  for (let turn = 0, left = calls; left > 0; turn++) {
    for (const node of ending.get(turn) ?? []) {
      scheduler.release(node);
      nodes.observe(node, { answerMs: turnsOf.get(node)!, ok: true });
    }
    ending.delete(turn);
    const touched = new Set<NodeSession>();
    for (let crowd = 1 + Math.floor(chance() * most); crowd > 0 && left > 0; crowd--, left--) {
      const node = scheduler.placeNow({ entry, version, avoid: new Set() });
      jobs.set(node, jobs.get(node)! + 1);
      touched.add(node);
      const end = turn + turnsOf.get(node)!;
      ending.set(end, [...(ending.get(end) ?? []), node]);
    }
    batches += touched.size;
    await new Promise(setImmediate);
  }
  return { jobs: [...jobs.values()], batches };
}

const alike = (count: number, turns = 3): Lent[] => Array.from({ length: count }, (_, i) => ({ name: `node ${i}`, turns }));

describe('who gets work is money', () => {
  test.each([
    ['few', 5, 4],
    ['many', 20, 12],
    ['many, and more work than cores', 20, 30],
  ])('of %s nodes that are alike each gets its share within a tenth', async (_, count, most) => {
    const calls = 1_000 * count;
    const { jobs } = await run(alike(count), calls, most);
    for (const share of jobs) expect(Math.abs(share - 1_000)).toBeLessThan(100);
  });

  test('one that takes three times as long gets less than half of a share', async () => {
    const { jobs } = await run([{ name: 'slow', turns: 9 }, ...alike(9)], 10_000, 6);
    expect(jobs[0]).toBeLessThan(500);
    for (const share of jobs.slice(1)) expect(Math.abs(share - 1_055)).toBeLessThan(150);
  });

  test('one that says it has a thousand cores does not get whole crowds for it', async () => {
    const { jobs } = await run([{ name: 'boaster', cores: 1_000, turns: 3 }, ...alike(19)], 20_000, 12);
    expect(jobs[0]).toBeLessThan(2_200);
  });
});

test('calls that come together go together, to a node that has an idle core for each', async () => {
  const { batches } = await run(alike(64), 20_000, 12);
  expect(batches).toBeLessThan(20_000 * 0.6);
  const single = await run(
    alike(64).map((node) => ({ ...node, cores: 1 })),
    20_000,
    12,
  );
  expect(single.batches).toBeGreaterThan(20_000 * 0.9);
});
