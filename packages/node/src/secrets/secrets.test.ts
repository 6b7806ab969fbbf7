import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { limits, nodeId, sha256, signSecrets, signTransaction, type ControlAction, type Secrets, type Signer } from '@orb/protocol';
import { sealTo } from '@orb/protocol/sealed-box';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chain, testFunction, testSigner, type TestFunction } from '../../test/scripted-super-node.ts';
import { linkLimits } from '@orb/link';
import { MemoryStore } from '@orb/store/memory';
import { TestNode } from '../../test/test-node.ts';
import type { Lending } from '../offer/lending.ts';
import { makeOffer } from '../offer/make-offer.ts';
import { SeedShelf } from '../seeding/seed-shelf.ts';

let t: TestNode;
let fn: TestFunction;
const node = testSigner('node');
const value = 'correct-horse-battery';
beforeEach(() => {
  t = new TestNode();
  fn = testFunction('keeper', 'export default (input, ctx) => ctx.env', { secrets: ['TOKEN'], env: { GREETING: 'hello' } });
});
afterEach(() => t.close());

const bodyOf = (change: Partial<Secrets> = {}): Secrets => ({
  v: 1,
  chain,
  function: fn.request.function,
  number: 1,
  node: nodeId(node.publicKey),
  values: { TOKEN: value, OTHER: 'not asked for' },
  ...change,
});
const boxOf = (change: Partial<Secrets> = {}, key: Signer = fn.control, to = node.publicKey) =>
  sealTo(to, signSecrets(bodyOf(change), key));
const hand = async (box: Uint8Array, header: object = {}) =>
  (await t.superNode.link!.call('secrets', { function: fn.request.function, ...header }, box)).header;
const startSeeded = async () => {
  await t.start();
  expect(await t.superNode.seed(fn)).toEqual({ seeding: true });
};
const env = async () => JSON.parse(Buffer.from((await t.superNode.run(fn)).body).toString()) as object;
const held = () => t.superNode.offers.at(-1)!.secrets;
const files = () =>
  readdirSync(t.folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
const control = (sequence: number, action: ControlAction, key = fn.control) =>
  signTransaction(chain, 'function.control', { function: fn.request.function, sequence, action }, [key]);

test('a version that needs secrets gets no job until they are here; then it finds those that it names, beside its variables', async () => {
  await startSeeded();
  expect(held()).toEqual([]);
  await expect(t.superNode.run(fn)).rejects.toMatchObject({ code: 'node-refused', details: { reason: 'secrets' } });
  expect(await hand(boxOf())).toEqual({ number: 1 });
  await t.superNode.until(() => held()?.length === 1);
  expect(held()).toEqual([[fn.request.function, 1]]);
  expect(await env()).toEqual({ GREETING: 'hello', TOKEN: value });
});

test('another function finds nothing of them', async () => {
  await startSeeded();
  await hand(boxOf());
  const other = testFunction('other', 'export default (input, ctx) => ctx.env', { env: { A: '1' } });
  await t.superNode.seed(other);
  expect(JSON.parse(Buffer.from((await t.superNode.run(other)).body).toString())).toEqual({ A: '1' });
});

test('a secret that a version names and its owner has not put keeps it from running, and the version stays', async () => {
  await startSeeded();
  await hand(boxOf({ values: { OTHER: 'x' } }));
  await expect(t.superNode.run(fn)).rejects.toMatchObject({ code: 'node-refused', message: expect.stringContaining('TOKEN') });
  await hand(boxOf({ number: 2 }));
  expect(await env()).toMatchObject({ TOKEN: value });
});

describe('a box is refused, and what was held stays', () => {
  beforeEach(async () => {
    await startSeeded();
    await hand(boxOf({ number: 5 }));
  });
  afterEach(async () => {
    expect(await env()).toMatchObject({ TOKEN: value });
  });
  test.each<[string, () => Uint8Array, string]>([
    ['signed by somebody else', () => boxOf({ number: 6 }, testSigner('thief')), 'bad-signature'],
    ['for another chain', () => boxOf({ number: 6, chain: sha256('other') }), 'wrong-chain'],
    ['for another node, sealed to this one', () => boxOf({ number: 6, node: nodeId(testSigner('bee').publicKey) }), 'invalid-request'],
    ['sealed to another node', () => boxOf({ number: 6 }, fn.control, testSigner('bee').publicKey), 'invalid-request'],
    ['of another function', () => boxOf({ number: 6, function: sha256('other') }), 'invalid-request'],
    ['with a lower number: an old one replayed', () => boxOf({ number: 4, values: { TOKEN: 'old' } }), 'bad-sequence'],
    ['cut short', () => boxOf({ number: 6 }).subarray(0, -1), 'invalid-request'],
    ['empty', () => new Uint8Array(), 'invalid-request'],
    ['larger than the limit', () => new Uint8Array(limits.secretBoxBytes + 1), 'too-large'],
  ])('%s', async (_, box, code) => {
    await expect(hand(box())).rejects.toMatchObject({ code });
    expect(held()).toEqual([[fn.request.function, 5]]);
  });

  test('for a function that is not seeded here', async () => {
    const other = sha256('unknown function');
    await expect(hand(boxOf({ function: other }), { function: other })).rejects.toMatchObject({ code: 'not-found' });
  });
});

test('a box swapped with another function’s changes nothing for either', async () => {
  await startSeeded();
  const other = testFunction('other', 'export default (input, ctx) => ctx.env', { secrets: ['TOKEN'] });
  await t.superNode.seed(other);
  const others = boxOf({ function: other.request.function }, other.control);
  await expect(hand(others)).rejects.toMatchObject({ code: 'invalid-request' });
  await expect(hand(boxOf(), { function: other.request.function })).rejects.toMatchObject({ code: 'invalid-request' });
});

test('a higher number replaces the values; the same one again changes nothing', async () => {
  await startSeeded();
  await hand(boxOf());
  expect(await env()).toMatchObject({ TOKEN: value });
  expect(await hand(boxOf({ number: 2, values: { TOKEN: 'second' } }))).toEqual({ number: 2 });
  expect(await env()).toMatchObject({ TOKEN: 'second' });
  expect(await hand(boxOf({ number: 2, values: { TOKEN: 'third' } }))).toEqual({ number: 2 });
  expect(await env()).toMatchObject({ TOKEN: 'second' });
});

test('after a change of the control key the new one counts from any number, and the old one for nothing', async () => {
  await startSeeded();
  await hand(boxOf({ number: 9 }));
  const next = testSigner('next control');
  const rotations = [control(1, { type: 'rotate', controlKey: next.publicKey, recoveryKey: testSigner('next recovery').publicKey })];
  expect(await hand(boxOf({ number: 1, values: { TOKEN: 'new' } }, next), { rotations })).toEqual({ number: 1 });
  expect(await env()).toMatchObject({ TOKEN: 'new' });
  await expect(hand(boxOf({ number: 10 }))).rejects.toMatchObject({ code: 'bad-signature' });
  const forged = [
    control(2, { type: 'rotate', controlKey: testSigner('thief').publicKey, recoveryKey: next.publicKey }, testSigner('thief')),
  ];
  await expect(hand(boxOf({ number: 11 }, testSigner('thief')), { rotations: forged })).rejects.toMatchObject({ code: 'bad-signature' });
});

test('secrets outlive a restart, sealed and for the node’s user alone; the value stands nowhere on disk, in the log or in its status', async () => {
  await startSeeded();
  await hand(boxOf({ number: 3 }));
  await env();
  await t.node!.stop();
  await t.start();
  expect(held()).toEqual([[fn.request.function, 3]]);
  expect(await env()).toMatchObject({ TOKEN: value });
  await expect(hand(boxOf({ number: 2 }))).rejects.toMatchObject({ code: 'bad-sequence' });
  const [file] = readdirSync(join(t.folder, 'secrets'));
  expect(statSync(join(t.folder, 'secrets', file!)).mode & 0o777).toBe(0o600);
  const all = [...files().map((path) => readFileSync(path, 'latin1')), t.log.join('\n'), JSON.stringify(t.node!.status())];
  for (const text of all) expect(text).not.toContain(value);
  expect(all.some((text) => text.includes(Buffer.from(fn.request.function).toString()))).toBe(true);
});

test('they are forgotten when the function has ended, or its owner is blocked; an old number does not come back then', async () => {
  await startSeeded();
  await hand(boxOf({ number: 3 }));
  const path = join(t.folder, 'secrets', `${fn.request.function}.json`);
  const box = () => (JSON.parse(readFileSync(path, 'utf8')) as { box: string | null }).box;
  expect(box()).not.toBeNull();
  await t.node!.stop();
  await t.start({ settings: { block: [fn.request.account] } });
  await expect.poll(box).toBeNull();
  expect(held()).toEqual([]);
  await expect(hand(boxOf({ number: 4 }))).rejects.toMatchObject({ code: 'not-found' });
  await t.node!.stop();
  await t.start();
  await t.superNode.seed(fn);
  await expect(hand(boxOf({ number: 2 }))).rejects.toMatchObject({ code: 'bad-sequence' });
  await hand(boxOf({ number: 3 }));
  t.superNode.link!.notify('drop', {
    function: fn.request.function,
    version: fn.request.version,
    transaction: control(1, { type: 'decommission' }),
  });
  await expect.poll(box).toBeNull();
  await expect(hand(boxOf({ number: 4 }))).rejects.toMatchObject({ code: 'gone' });
});

test('a node whose key opens nothing offers no secrets and seeds no version that needs them', async () => {
  await t.start({ unsealer: undefined });
  expect(t.superNode.offers.at(-1)!).not.toHaveProperty('secrets');
  expect(await t.superNode.seed(fn)).toEqual({ seeding: false, reason: expect.stringContaining('secrets') });
  await expect(hand(boxOf())).rejects.toMatchObject({ code: 'not-supported' });
});

test('versions that need secrets are held in smaller number, so that the offer still fits one header', async () => {
  const open = (maxVersions?: number) =>
    SeedShelf.open(
      { path: join(t.folder, 'shelf.json'), diskBytes: 1e9, ...(maxVersions !== undefined && { maxVersions }) },
      { store: new MemoryStore() },
    );
  const plain = testFunction('plain', 'export default () => 1').manifest;
  const small = await open(2);
  for (const name of ['a', 'b']) expect(small.reserve(sha256(name), 'v', plain)).toBeUndefined();
  expect(small.reserve(sha256('c'), 'v', plain)).toContain('holds 2 versions, as many as it takes');
  const shelf = await open();
  let held = 0;
  while (shelf.reserve(sha256(`${held}`), 'v', fn.manifest) === undefined) held++;
  expect(held).toBe(limits.nodeSecretReplicas);
  expect(shelf.reserve(sha256('one more'), 'v', fn.manifest)).toContain('400 versions that need secrets, as many as it takes');
  expect(shelf.reserve(sha256('one more'), 'v', plain)).toBeUndefined();
  const ids = Array.from({ length: limits.nodeReplicas }, (_, i) => sha256(`${i}`));
  const secrets = ids.slice(0, held).map((id) => [id, Number.MAX_SAFE_INTEGER] as [string, number]);
  const facts = { machine: { platform: 'linux', architecture: 'x64' }, cores: 2, runtimes: ['deno-2'], isolation: 'process' } as const;
  const lending = { terms: { slots: 16, memoryMiB: 4_096, rate: 10n }, accepting: true } as Lending;
  const offer = makeOffer({ ...facts, labels: {}, network: undefined }, lending, { versions: ids, secrets }, 1);
  expect([offer.seeds.length, offer.replicas]).toEqual([400, limits.nodeReplicas]);
  expect(JSON.stringify(offer).length).toBeLessThanOrEqual(linkLimits.headerBytes);
});
