import { parseManifest, sha256, type Fetching, type FunctionRecord, type Offer } from '@orb/protocol';
import { describe, expect, test, vi } from 'vitest';
import type { FunctionEntry, KnownVersion } from '../registry/function-registry.ts';
import { NodeRegistry, type NodeSession } from '../registry/node-registry.ts';
import { Scheduler, schedulerDefaults, type SchedulerOptions } from './scheduler.ts';

const version: KnownVersion = {
  replica: sha256('replica'),
  id: sha256('version'),
  function: sha256('function'),
  number: 1,
  manifest: parseManifest({
    v: 1,
    kind: 'bundle',
    runtime: 'deno-2',
    code: { sha256: sha256('code'), bytes: 1 },
    memoryMiB: 256,
    priceCap: '10',
    labels: { zone: 'eu' },
  }),
};
const entry = {
  record: { id: version.function } as FunctionRecord,
  ownerName: 'alice',
  ownerKeys: new Set(),
  fullName: 'alice/hello',
  versions: [[version, 1]],
} as unknown as FunctionEntry;

const fittingOffer: Offer = {
  v: 1,
  platform: 'linux',
  architecture: 'x64',
  runtimes: ['deno-2'],
  isolation: 'namespaces',
  cores: 2,
  memoryMiB: 1_024,
  rate: '10',
  slots: 1,
  labels: { zone: 'eu' },
  accepting: true,
  seeds: [],
  lastBatch: 0,
};

function setUp(options: Partial<SchedulerOptions> = {}) {
  const nodes = new NodeRegistry();
  const scheduler = new Scheduler({ ...schedulerDefaults, ...options }, { nodes });
  const addNode = (name: string, offer: Partial<Offer> = {}, rttMs = 1): NodeSession => {
    const session = {
      id: sha256(name),
      account: sha256('bob'),
      label: name,
      link: { rttMs } as NodeSession['link'],
      connectedAtMs: 0,
      offer: { ...fittingOffer, ...offer },
      held: new Set<string>(),
      seeds: new Set<string>(),
      asked: new Set<string>(),
      fits: new Map<string, string | null>(),
      fetching: new Set<(progress: Fetching) => void>(),
      active: 0,
      answerMs: undefined,
      reliability: 1,
    };
    nodes.add(session);
    nodes.markSeeding(session, version.replica);
    return session;
  };
  const place = async (avoid: NodeSession[] = [], signal?: AbortSignal) =>
    (await scheduler.place({ entry, version, avoid: new Set(avoid), signal })) as NodeSession;
  return { nodes, scheduler, addNode, place };
}

describe('a node that does not fit is never chosen', () => {
  const misfits: [string, Partial<Offer>, RegExp][] = [
    ['too little memory', { memoryMiB: 128 }, /memory: 256 MiB wanted, 128 MiB offered/],
    ['too dear', { rate: '11' }, /price: 11 asked, at most 10 allowed/],
    ['paused', { accepting: false }, /paused/],
    ['another runtime', { runtimes: ['python-3'] }, /runtime deno-2 is not offered/],
    ['a missing label', { labels: {} }, /label zone=eu is missing/],
  ];
  for (const [name, offer, message] of misfits) {
    test(`${name}: the error names the constraint`, async () => {
      const { addNode, place } = setUp();
      addNode('misfit', offer);
      await expect(place()).rejects.toMatchObject({ code: 'no-node-fits', message: expect.stringMatching(message) });
    });
    test(`${name}: the other node gets every call`, async () => {
      const { addNode, place, scheduler } = setUp();
      addNode('misfit', offer);
      const fit = addNode('fit');
      for (let i = 0; i < 20; i++) {
        expect(await place()).toBe(fit);
        scheduler.release(fit);
      }
    });
  }

  test('less of the network than the manifest asks for', async () => {
    const { addNode, scheduler } = setUp();
    const wants = { ...version, manifest: { ...version.manifest, network: ['api.example.org'] } };
    const wish = { entry, version: wants, avoid: new Set<never>() };
    addNode('closed');
    const other = addNode('other', { network: ['example.org'] });
    await expect(async () => scheduler.place(wish)).rejects.toMatchObject({
      code: 'no-node-fits',
      message: expect.stringMatching(
        /network: api\.example\.org wanted, none offered; network: api\.example\.org wanted, example\.org offered/,
      ) as string,
    });
    other.fits.clear();
    Object.assign(other, { offer: { ...other.offer, network: 'public' } });
    expect(await scheduler.place(wish)).toBe(other);
  });

  test('weaker isolation than the manifest demands', async () => {
    const { addNode, scheduler } = setUp();
    addNode('weak', { isolation: 'process' });
    const strict = { ...version, manifest: { ...version.manifest, isolation: 'namespaces' as const } };
    await expect(async () => scheduler.place({ entry, version: strict, avoid: new Set() })).rejects.toMatchObject({ code: 'no-node-fits' });
  });
});

describe('waiting', () => {
  test('a call waits for a slot and gets it when one is given back', async () => {
    const { addNode, place, scheduler } = setUp();
    const node = addNode('only');
    await place();
    const second = place();
    expect(scheduler.waiting).toBe(1);
    scheduler.release(node);
    expect(await second).toBe(node);
    expect(node.active).toBe(1);
  });

  test('a full queue refuses at once', async () => {
    const { addNode, place } = setUp({ maxWaiting: 1 });
    addNode('only');
    await place();
    void place().catch(() => undefined);
    await expect(place()).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: expect.any(Number) as number });
  });

  test('a call gives up when its time is over', async () => {
    const { addNode, place, scheduler } = setUp({ maxWaitMs: 5 });
    addNode('only');
    await place();
    await expect(place()).rejects.toMatchObject({ code: 'overloaded' });
    expect(scheduler.waiting).toBe(0);
  });

  test('a caller that hangs up leaves the queue', async () => {
    const { addNode, place, scheduler } = setUp();
    addNode('only');
    await place();
    const abort = new AbortController();
    const waiting = place([], abort.signal);
    abort.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    expect(scheduler.waiting).toBe(0);
  });

  test('a waiting call is told at once when its last node goes', async () => {
    const { addNode, nodes, place, scheduler } = setUp();
    const node = addNode('only');
    await place();
    const waiting = place();
    nodes.remove(node);
    scheduler.nodesChanged();
    await expect(waiting).rejects.toMatchObject({ code: 'no-node-fits' });
  });
});

describe('many that wait', () => {
  const wish = (name: string) => ({ entry, version: { ...version, replica: sha256(name) }, avoid: new Set<NodeSession>() });

  test('a slot that becomes free costs one look, however many calls wait', async () => {
    const { addNode, nodes, place, scheduler } = setUp();
    const node = addNode('only');
    await place();
    const served: number[] = [];
    for (let index = 0; index < 500; index++)
      void place().then(
        () => served.push(index),
        () => undefined,
      );
    const look = vi.spyOn(nodes, 'seeders');
    scheduler.release(node);
    await Promise.resolve();
    expect(look.mock.calls.length).toBeLessThanOrEqual(2);
    await new Promise(setImmediate);
    expect(served).toEqual([0]);
    expect(scheduler.waiting).toBe(499);
  });

  test('versions take turns, and in each it is first come, first served', async () => {
    const { addNode, nodes, scheduler } = setUp();
    const node = addNode('only');
    for (const name of ['a', 'b']) nodes.markSeeding(node, sha256(name));
    await scheduler.place(wish('a'));
    const served: string[] = [];
    for (const name of ['a1', 'b2', 'b3', 'a4'])
      void Promise.resolve(scheduler.place(wish(name[0]!))).then(
        () => served.push(name),
        () => undefined,
      );
    for (let turn = 0; turn < 4; turn++) {
      scheduler.release(node);
      await new Promise(setImmediate);
    }
    expect(served).toEqual(['a1', 'b2', 'a4', 'b3']);
  });

  const wishOf = (from: string, name = 'a') => ({ ...wish(name), from });

  test('callers of a version take turns: one beside a flood is served second, not last', async () => {
    const { addNode, nodes, scheduler } = setUp();
    const node = addNode('only');
    nodes.markSeeding(node, sha256('a'));
    await scheduler.place(wish('a'));
    const served: string[] = [];
    const call = (from: string) =>
      void Promise.resolve(scheduler.place(wishOf(from))).then(
        () => served.push(from),
        () => undefined,
      );
    for (let index = 0; index < 100; index++) call('flood');
    for (let index = 0; index < 3; index++) call('guest');
    for (let slot = 0; slot < 6; slot++) {
      scheduler.release(node);
      await new Promise(setImmediate);
    }
    expect(served).toEqual(['flood', 'guest', 'flood', 'guest', 'flood', 'guest']);
  });

  test('whoever floods leaves room to wait: for other callers of the version, and for other versions', async () => {
    const { addNode, nodes, scheduler } = setUp({ maxWaiting: 100 });
    const node = addNode('only');
    for (const name of ['a', 'b']) nodes.markSeeding(node, sha256(name));
    await scheduler.place(wish('a'));
    const take = (from: string, name?: string) => {
      try {
        void Promise.resolve(scheduler.place(wishOf(from, name))).catch(() => undefined);
        return true;
      } catch (error) {
        expect(error).toMatchObject({ code: 'overloaded' });
        return false;
      }
    };
    for (let index = 0; index < 1_000; index++) take('flood');
    expect(scheduler.waiting).toBe(50);
    expect(take('guest')).toBe(true);
    for (let index = 0; index < 1_000; index++) take(`one of many ${index}`);
    expect(scheduler.waiting).toBe(80);
    expect(take('guest', 'b')).toBe(true);
  });

  test('a call for which there is neither place nor room is known without a look at any node, and only then', async () => {
    const { addNode, nodes, place, scheduler } = setUp({ maxWaiting: 1 });
    const node = addNode('only');
    expect(scheduler.refusal(entry, 'a')).toBeUndefined();
    await place();
    expect(scheduler.refusal(entry, 'a')).toBeUndefined();
    const waiting = place();
    const look = vi.spyOn(nodes, 'seeders');
    expect(scheduler.refusal(entry, 'a')).toMatchObject({ code: 'overloaded' });
    expect(look).not.toHaveBeenCalled();
    scheduler.release(node);
    await waiting;
    expect(scheduler.refusal(entry, 'a')).toBeUndefined();
  });

  test('calls that nobody has room for keep nobody else waiting', async () => {
    const { addNode, nodes, scheduler } = setUp();
    const [busy, other] = [addNode('busy'), addNode('other')];
    nodes.markSeeding(busy, sha256('a'));
    for (const name of ['a', 'b']) nodes.markSeeding(other, sha256(name));
    await scheduler.place(wish('a'));
    await scheduler.place(wish('a'));
    const served: string[] = [];
    void Promise.resolve(scheduler.place({ ...wish('a'), avoid: new Set([other]) })).then(
      () => served.push('choosy a'),
      () => undefined,
    );
    void Promise.resolve(scheduler.place(wish('a'))).then(
      () => served.push('a'),
      () => undefined,
    );
    void Promise.resolve(scheduler.place(wish('b'))).then(
      () => served.push('b'),
      () => undefined,
    );
    for (let turn = 0; turn < 2; turn++) {
      scheduler.release(other);
      await new Promise(setImmediate);
    }
    expect(served).toEqual(['a', 'b']);
    scheduler.release(busy);
    await new Promise(setImmediate);
    expect(served).toEqual(['a', 'b', 'choosy a']);
  });
});

describe('policies', () => {
  test('random uses every node that fits', async () => {
    const { addNode, place } = setUp({ policy: 'random' });
    const all = ['a', 'b', 'c'].map((name) => addNode(name, { slots: 1_000 }));
    const chosen = new Set<NodeSession>();
    for (let i = 0; i < 100; i++) chosen.add(await place());
    expect(chosen).toEqual(new Set(all));
  });

  test('nearest takes the shortest response time', async () => {
    const { addNode, place } = setUp({ policy: 'nearest' });
    addNode('far', { slots: 100 }, 80);
    const near = addNode('near', { slots: 100 }, 3);
    for (let i = 0; i < 20; i++) expect(await place()).toBe(near);
  });

  test('balanced prefers the node with less to do', async () => {
    const { addNode, place } = setUp({ policy: 'balanced' });
    const busy = addNode('busy', { slots: 100 });
    const idle = addNode('idle', { slots: 100 });
    busy.active = 50;
    for (let i = 0; i < 20; i++) expect(await place()).toBe(idle);
  });

  test('balanced comes back to a node that was slow or failed once', async () => {
    const { addNode, nodes, place, scheduler } = setUp({ policy: 'balanced' });
    const once = addNode('once', { slots: 100 });
    const steady = addNode('steady', { slots: 100 });
    nodes.observe(once, { answerMs: 2_000, ok: false });
    nodes.observe(steady, { answerMs: 20, ok: true });
    expect(await place()).toBe(steady);
    scheduler.release(steady);
    for (let second = 0; second < 60; second++) {
      nodes.fade();
      nodes.observe(steady, { answerMs: 20, ok: true });
    }
    await new Promise(setImmediate);
    expect(await place()).toBe(once);
  });

  test('a node that has just failed this call is avoided', async () => {
    const { addNode, place } = setUp({ policy: 'random' });
    const failed = addNode('failed', { slots: 100 });
    const other = addNode('other', { slots: 100 });
    for (let i = 0; i < 20; i++) expect(await place([failed])).toBe(other);
  });
});

describe('of many nodes', () => {
  test('a call looks at a few, whatever their number', async () => {
    for (const policy of ['balanced', 'random'] as const) {
      const { addNode, place } = setUp({ policy });
      let looks = 0;
      for (let i = 0; i < 200; i++) {
        const node = addNode(`node ${i}`, { slots: 10 });
        const { fits } = node;
        const get = fits.get.bind(fits);
        fits.get = (id) => (looks++, get(id));
      }
      await place();
      expect(looks, policy).toBeLessThanOrEqual(8);
    }
  });

  test('every one that is free gets calls, and none that is full', async () => {
    const { addNode, place } = setUp({ policy: 'random' });
    const nodes = Array.from({ length: 40 }, (_, i) => addNode(`node ${i}`, { slots: 1_000 }));
    for (const node of nodes.slice(20)) node.active = 1_000;
    for (let i = 0; i < 2_000; i++) await place();
    expect(nodes.map(({ active }) => active).slice(20)).toEqual(Array.from({ length: 20 }, () => 1_000));
    for (const { active } of nodes.slice(0, 20)) expect(active).toBeGreaterThan(40);
  });

  test('the only one with room is found', async () => {
    const { addNode, place } = setUp();
    const nodes = Array.from({ length: 100 }, (_, i) => addNode(`node ${i}`));
    for (const node of nodes) node.active = 1;
    nodes[63]!.active = 0;
    expect(await place()).toBe(nodes[63]);
  });

  test('the less busy of two is taken', async () => {
    const { addNode, place } = setUp();
    const nodes = Array.from({ length: 50 }, (_, i) => addNode(`node ${i}`, { slots: 10_000 }));
    for (let i = 0; i < 5_000; i++) await place();
    const busiest = Math.max(...nodes.map(({ active }) => active));
    // One random choice alone would leave the busiest of 50 some 25 above the mean.
    expect(busiest).toBeLessThan(105);
  });
});
