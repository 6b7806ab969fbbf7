import { isDeepStrictEqual } from 'node:util';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  functionId,
  limits,
  replicaId,
  sha256,
  signTransaction,
  versionId,
  type ControlAction,
  type SeedRequest,
  type Transaction,
} from '@orb/protocol';
import type { PullProgress, SandboxReport } from '@orb/sandbox';
import { MemorySandbox } from '@orb/sandbox/memory';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chain, testFunction, testSigner, type TestFunction } from '../../test/scripted-super-node.ts';
import { TestNode } from '../../test/test-node.ts';
import type { NodeFoundations } from '../assemble-node.ts';

let t: TestNode;
beforeEach(() => {
  t = new TestNode();
});
afterEach(() => t.close());

const control = (fn: TestFunction, sequence: number, action: ControlAction, key = fn.control): Transaction<'function.control'> =>
  signTransaction(chain, 'function.control', { function: fn.request.function, sequence, action }, [key]);

/** The same function with another version, published by a control action. */
function published(fn: TestFunction, sequence: number, source: string, key = fn.control): TestFunction {
  const next = testFunction('hello', source);
  const transaction = control(fn, sequence, { type: 'publish', manifest: next.manifest }, key);
  return { ...next, control: key, request: { ...fn.request, version: versionId(next.manifest), transaction } };
}

const versions = () => t.node!.status().versions.map(({ version }) => version);
const drop = async (fn: TestFunction, transaction: unknown, rest: object = {}) => {
  const before = t.superNode.offers.length;
  t.superNode.link!.notify('drop', { function: fn.request.function, version: fn.request.version, transaction, ...rest });
  return before;
};
/** The node has taken up the notice: a seed request after it is answered after it. */
const taken = () => expect.poll(() => t.log.some((line) => line.includes('drop a version was refused'))).toBe(true);

describe('a version is seeded', () => {
  test('when its owner signed it: fetched once, checked, offered', async () => {
    await t.start();
    expect(await t.superNode.seed(t.fn)).toEqual({ seeding: true });
    expect(await t.superNode.seed(t.fn)).toEqual({ seeding: true });
    expect(t.superNode.fetched).toBe(1);
    await t.superNode.until(() => t.superNode.offers.at(-1)!.seeds.includes(t.fn.request.version));
  });

  test('once for many who ask at the same time', async () => {
    await t.start();
    expect(await Promise.all(Array.from({ length: 5 }, () => t.superNode.seed(t.fn)))).toEqual(Array(5).fill({ seeding: true }));
    expect(t.superNode.fetched).toBe(1);
  });

  test('of two owners who publish the same bytes, for each of them', async () => {
    await t.start();
    const twin = testFunction('twin', 'export default () => "hello"');
    expect(twin.request.version).toBe(t.fn.request.version);
    await t.superNode.seed(t.fn);
    await expect(t.superNode.run(twin)).rejects.toMatchObject({ details: { reason: 'unknown-version' } });
    expect(await t.superNode.seed(twin)).toEqual({ seeding: true });
    await t.superNode.run(twin);
    const ids = [t.fn, twin].map(({ request }) => replicaId(request.function, request.version));
    await t.superNode.until(() => t.superNode.replicas.length === 2);
    expect(t.superNode.replicas).toEqual(ids);
    expect(t.superNode.offers.at(-1)!.seeds).toEqual([t.fn.request.version]);
    await t.node!.stop();
    await t.start();
    await t.superNode.until(() => t.superNode.offers.length > 2);
    expect(t.superNode.replicas).toEqual(ids);
  });

  test('while its function has room: of too many versions the one that ran longest ago makes room, other functions’ do not', async () => {
    await t.start();
    const other = testFunction('other', 'export default () => 0');
    await t.superNode.seed(other);
    await t.superNode.seed(t.fn);
    const later = Array.from({ length: limits.nodeFunctionVersions }, (_, i) => published(t.fn, i + 1, `export default () => ${i + 1}`));
    for (const next of later.slice(0, -1)) expect(await t.superNode.seed(next)).toEqual({ seeding: true });
    await t.superNode.run(t.fn);
    expect(versions()).toHaveLength(limits.nodeFunctionVersions + 1);
    expect(await t.superNode.seed(later.at(-1)!)).toEqual({ seeding: true });
    const left = [other, t.fn, ...later.slice(1)].map(({ request }) => request.version);
    expect(versions().toSorted()).toEqual(left.toSorted());
    expect(await Array.fromAsync(t.store.list())).toHaveLength(left.length);
    await expect(t.superNode.run(later[0]!)).rejects.toMatchObject({ details: { reason: 'unknown-version' } });
  });

  test('when the pinned key published it later', async () => {
    await t.startSeeded();
    expect(await t.superNode.seed(published(t.fn, 1, 'export default () => 2'))).toEqual({ seeding: true });
  });

  test('when the key that follows from a rotation published it', async () => {
    await t.startSeeded();
    const [next, recovery] = [testSigner('next'), testSigner('recovery hello')];
    const rotate = control(t.fn, 1, { type: 'rotate', controlKey: next.publicKey, recoveryKey: testSigner('r2').publicKey }, recovery);
    const version = published(t.fn, 2, 'export default () => 2', next);
    expect(await t.superNode.seed(version)).toMatchObject({ seeding: false });
    expect(await t.superNode.seed(version, { rotations: [rotate] })).toEqual({ seeding: true });
  });
});

describe('a version is not seeded', () => {
  const forged = (change: (fn: TestFunction) => Partial<SeedRequest>) => async (reason: RegExp) => {
    await t.start();
    const answer = await t.superNode.seed(t.fn, change(t.fn));
    expect(answer).toMatchObject({ seeding: false, reason: expect.stringMatching(reason) });
    expect(t.superNode.fetched).toBe(0);
    expect(versions()).toEqual([]);
  };

  test('when the control key did not sign its creation', () =>
    forged(({ request }) => {
      const { body } = request.transaction as Transaction<'function.create'>;
      return { transaction: signTransaction(chain, 'function.create', body, [testSigner('thief')]) };
    })(/signed/));

  test('when the transaction was changed after it was signed', () =>
    forged(({ request }) => {
      const transaction = structuredClone(request.transaction) as { body: { manifest: { memoryMiB: number } } };
      transaction.body.manifest.memoryMiB = 256;
      return { transaction };
    })(/signed/));

  test('when it is of another ledger', () =>
    forged(({ request, control: key }) => {
      const { body } = request.transaction as Transaction<'function.create'>;
      return { transaction: signTransaction(sha256('other chain'), 'function.create', body, [key]) };
    })(/another ledger/));

  test('when the transaction publishes another version', () => forged(() => ({ version: sha256('other') }))(/another version/));
  test('when the transaction is another function’s', () =>
    forged(() => ({ function: functionId(sha256('a'), 'b', 1) }))(/no version of this function/));
  test('when another account is claimed to own it', () =>
    forged(() => ({ account: sha256('friend of the node') }))(/no version|does not belong/));
  test('when the transaction is something else', () =>
    forged(() => ({ transaction: signTransaction(chain, 'allowance.release', { allowance: '0'.repeat(32) }, []) }))(
      /publishes no version/,
    ));
  test('when the transaction is not one', () => forged(() => ({ transaction: { v: 1 } }))(/transaction/));

  test('when a thief’s key published it', async () => {
    await t.startSeeded();
    const thief = testSigner('thief');
    expect(await t.superNode.seed(published(t.fn, 1, 'export default () => "evil"', thief))).toMatchObject({ seeding: false });
    const rotate = control(t.fn, 1, { type: 'rotate', controlKey: thief.publicKey, recoveryKey: thief.publicKey }, thief);
    expect(await t.superNode.seed(published(t.fn, 2, 'export default () => "evil"', thief), { rotations: [rotate] })).toMatchObject({
      seeding: false,
      reason: expect.stringMatching(/neither/),
    });
  });

  test('when a claimed account is not the one whose function a publication changes', async () => {
    await t.start();
    const later = published(t.fn, 1, 'export default () => 2');
    expect(await t.superNode.seed(later, { account: sha256('friend') })).toMatchObject({
      seeding: false,
      reason: expect.stringMatching(/does not belong/),
    });
  });

  test.each([
    ['other bytes', () => new TextEncoder().encode('export default () => "evil!"')],
    ['too many bytes', () => new Uint8Array(1_000_000)],
    ['too few bytes', () => new Uint8Array(3)],
  ])('when the super node gives %s', async (_, code) => {
    await t.start();
    t.superNode.codeFor = code;
    expect(await t.superNode.seed(t.fn)).toMatchObject({ seeding: false });
    expect(await t.store.size()).toBe(0);
    t.superNode.codeFor = undefined;
    expect(await t.superNode.seed(t.fn)).toEqual({ seeding: true });
  });
});

describe('the owner’s policy decides', () => {
  const account = testFunction('hello', '1').request.account;
  test.each([
    ['block', { settings: { block: [account] } }, {}, /does not seed functions of this account/],
    [
      'an allow list without the account',
      { settings: { accept: 'listed', allow: [sha256('friend')] } },
      {},
      /only functions of listed accounts/,
    ],
    ['none', { settings: { accept: 'none' } }, {}, /seeds no new functions/],
    ['memory', { settings: { maxFunctionMiB: 128 } }, { memoryMiB: 129 }, /129 MiB of memory; this node gives a function at most 128/],
    ['memory that is lent', { settings: { memoryMiB: 100 } }, {}, /at most 100/],
    ['isolation', {}, { isolation: 'vm' }, /demands isolation vm; this node offers process/],
    ['labels', { labels: { region: 'us' } }, { labels: { region: 'eu' } }, /label region=eu/],
    ['price', { settings: { price: '2000' } }, {}, /pays at most 1000 units per MiB·ms; this node asks 2000/],
  ] as const)('by %s', async (_, config, manifest, reason) => {
    await t.start(config as object);
    const answer = await t.superNode.seed(testFunction('hello', 'export default 1', manifest as object));
    expect(answer).toMatchObject({ seeding: false, reason: expect.stringMatching(reason) });
    expect(t.superNode.fetched).toBe(0);
  });

  test('an allow list with the account lets it in', async () => {
    await t.startSeeded({ settings: { accept: 'listed', allow: [account] } });
  });

  test('code beyond the disk budget is refused with both numbers', async () => {
    await t.start({ settings: { diskMiB: 1 } });
    const large = testFunction('large', `// ${'x'.repeat(700_000)}`);
    expect(await t.superNode.seed(large)).toEqual({ seeding: true });
    const answer = await t.superNode.seed(testFunction('second', `// ${'y'.repeat(700_000)}`));
    expect(answer).toMatchObject({ seeding: false, reason: expect.stringMatching(/700003 bytes; this node has \d+ of 1048576 free/) });
  });
});

describe('a version is dropped', () => {
  test.each([['decommission'], ['stop']] as const)('when its owner signed a %s', async (type) => {
    await t.startSeeded();
    await drop(t.fn, control(t.fn, 1, { type }));
    await t.superNode.until(() => t.superNode.offers.at(-1)!.seeds.length === 0);
    await expect(t.superNode.run(t.fn)).rejects.toMatchObject({ details: { reason: 'unknown-version' } });
    await expect.poll(() => t.store.size()).toBe(0);
  });

  test('when its owner published another', async () => {
    await t.startSeeded();
    const next = published(t.fn, 1, 'export default () => 2');
    await t.superNode.seed(next);
    await drop(t.fn, next.request.transaction);
    await t.superNode.until(() => t.superNode.offers.at(-1)!.seeds.length === 1 && t.superNode.offers.length > 2);
    await expect.poll(versions).toEqual([next.request.version]);
  });

  test('and never seeded again after a decommission, not even by what was signed before', async () => {
    await t.startSeeded();
    await drop(t.fn, control(t.fn, 1, { type: 'decommission' }));
    await expect.poll(versions).toEqual([]);
    expect(await t.superNode.seed(t.fn)).toMatchObject({ seeding: false, reason: expect.stringMatching(/decommissioned/) });
    expect(t.superNode.fetched).toBe(1);
    await t.node!.stop();
    await t.start();
    expect(await t.superNode.seed(t.fn)).toMatchObject({ seeding: false });
  });

  test.each([
    ['a thief signed', () => control(t.fn, 1, { type: 'decommission' }, testSigner('thief'))],
    ['it is the publication of this very version', () => published(t.fn, 1, 'export default () => "hello"').request.transaction],
    ['the action ends nothing', () => control(t.fn, 1, { type: 'start' })],
    ['it ends another function', () => control(testFunction('other', '1'), 1, { type: 'decommission' })],
    ['it is no transaction', () => ({})],
  ])('but not when %s', async (_, transaction) => {
    await t.startSeeded();
    await drop(t.fn, transaction());
    await taken();
    expect(versions()).toEqual([t.fn.request.version]);
  });

  test('but not when an old action is played again', async () => {
    await t.startSeeded();
    await drop(t.fn, control(t.fn, 5, { type: 'stop' }));
    await expect.poll(versions).toEqual([]);
    await t.superNode.seed(t.fn);
    await drop(t.fn, control(t.fn, 4, { type: 'stop' }));
    await taken();
    expect(versions()).toEqual([t.fn.request.version]);
  });
});

describe('restart', () => {
  test('leaves out versions whose code is gone, and deletes code that no version names', async () => {
    await t.startSeeded();
    await t.node!.stop();
    await t.store.delete(t.fn.manifest.code.sha256);
    const stray = new TextEncoder().encode('stray');
    await t.store.put(sha256(stray), stray);
    await t.start();
    expect(versions()).toEqual([]);
    expect(await t.store.size()).toBe(0);
    expect(await t.superNode.seed(t.fn)).toEqual({ seeding: true });
  });

  test('refuses a damaged index with a word on what to do', async () => {
    await t.startSeeded();
    await t.node!.stop();
    const path = join(t.folder, 'seeds.json');
    writeFileSync(path, readFileSync(path, 'utf8').slice(0, -9));
    await expect(t.start()).rejects.toMatchObject({
      message: expect.stringContaining('seeds.json'),
      hint: expect.stringContaining('Move it away'),
    });
    t.node = undefined;
  });
});

/** An engine whose one image comes when a test says so. */
class SlowImages extends MemorySandbox {
  readonly here = Promise.withResolvers<void>();
  pull: PullProgress | undefined;

  override async probe(): Promise<SandboxReport> {
    return { tier: 'container', runtimes: ['container'], layers: [] };
  }

  async prepare(): Promise<void> {
    await this.here.promise;
  }

  fetching(): readonly PullProgress[] {
    return this.pull ? [this.pull] : [];
  }
}

describe('an image is fetched while a super node waits', () => {
  const image = 'registry.example/word-count@sha256:';
  const startWith = async (images: SlowImages, fetching: NonNullable<NodeFoundations['fetching']>) => {
    const code = '{"schemaVersion":2}';
    const fn = testFunction('hello', code, {
      kind: 'image',
      runtime: 'container',
      handler: 'job',
      concurrency: 1,
      image: `${image}${sha256(new TextEncoder().encode(code))}`,
    });
    await t.start({}, { images, fetching });
    return fn;
  };
  const told = () => t.superNode.notices.filter(([method]) => method === 'fetching').map(([, header]) => header);

  test('which is told how far it is, and then that the node seeds', async () => {
    const images = new SlowImages();
    const fn = await startWith(images, { tellEveryMs: 1 });
    const answer = t.superNode.seed(fn);
    images.pull = { image: fn.manifest.image!, receivedBytes: 1_000, totalBytes: 4_000 };
    const { version } = fn.request;
    const far = (receivedBytes: number) => ({ version, receivedBytes, totalBytes: 4_000 });
    // Again and again, also where it has not moved: somebody may have begun to listen meanwhile.
    await t.superNode.until(() => told().length > 1);
    expect(told()).toEqual(told().map(() => far(1_000)));
    images.pull = { ...images.pull, receivedBytes: 4_000 };
    await t.superNode.until(() => isDeepStrictEqual(told().at(-1), far(4_000)));
    images.here.resolve();
    expect(await answer).toEqual({ seeding: true });
  });

  test('and where that takes long it is told to ask again, which is no refusal', async () => {
    const images = new SlowImages();
    const fn = await startWith(images, { prepareTimeoutMs: 1, tellEveryMs: 1 });
    expect(await t.superNode.seed(fn)).toMatchObject({ seeding: false, fetching: true });
    expect(t.node!.status().refused).toEqual([]);
    images.here.resolve();
    expect(await t.superNode.seed(fn)).toEqual({ seeding: true });
  });

  test('and of another image nothing is told', async () => {
    const images = new SlowImages();
    const fn = await startWith(images, { tellEveryMs: 1 });
    const answer = t.superNode.seed(fn);
    images.pull = { image: `${image}${sha256('another')}`, receivedBytes: 1, totalBytes: 2 };
    await new Promise((resolve) => void setTimeout(resolve, 20));
    images.here.resolve();
    expect(await answer).toEqual({ seeding: true });
    expect(told()).toEqual([]);
  });
});
