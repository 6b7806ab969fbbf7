import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testManifest, testSigner } from '@orb/ledger/testing';
import { limits, OrbError, sha256, signRequest, utf8, type Manifest, type Signer } from '@orb/protocol';
import { MemoryStore } from '@orb/store/memory';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ScriptedNode } from '../testing/scripted-node.ts';
import { TestSuperNode } from '../testing/test-super-node.ts';
import { SecretBook } from './secret-book.ts';

interface Described {
  readonly number: number | null;
  readonly names: readonly string[];
  readonly nodes: readonly { node: string; holds: number | null; linked: boolean }[];
  readonly error?: { code: string; message: string };
}

const box = (words: string) => Buffer.from(words);

describe('through a super node', () => {
  let net: TestSuperNode;
  beforeEach(async () => {
    net = await TestSuperNode.start();
  });
  afterEach(() => net.stop());

  /** Bob's function that needs TOKEN, on the ledger and not seeded. */
  async function publish(name = 'keeper', manifest: Partial<Manifest> = {}) {
    const code = utf8(`// ${name}`);
    const terms = { secrets: ['TOKEN'], timeoutMs: 1_000, code: { sha256: sha256(code), bytes: code.length }, ...manifest };
    await net.store.put(sha256(code), code);
    await net.openAllowance();
    const fn = await net.net.createFunction(net.bob, name, testManifest(terms));
    return { ...fn, name, path: `/v1/functions/bob/${name}` };
  }
  type Published = Awaited<ReturnType<typeof publish>>;

  async function ask(fn: Published, method: 'GET' | 'PUT', body?: object, key: Signer | null = fn.controlKey): Promise<Described> {
    const url = `${net.url}${fn.path}/secrets`;
    const bytes = body === undefined ? new Uint8Array() : utf8(JSON.stringify(body));
    const headers = key ? signRequest({ method, url, body: bytes }, net.running.chain, key, Date.now()) : {};
    const answer = await fetch(url, { method, headers: { ...headers }, ...(body && { body: bytes as Uint8Array<ArrayBuffer> }) });
    return (await answer.json()) as Described;
  }
  const put = (fn: Published, number: number, nodes: readonly ScriptedNode[], change: object = {}) =>
    ask(fn, 'PUT', {
      v: 1,
      number,
      names: ['TOKEN'],
      boxes: nodes.map(({ id }) => [id, box(`${number} for ${id}`).toString('base64')]),
      ...change,
    });
  const seed = async (fn: Published) => {
    const url = `${net.url}${fn.path}/seed`;
    const body = utf8('{}');
    const headers = signRequest({ method: 'POST', url, body }, net.running.chain, net.bob, Date.now());
    const lines = (await (await fetch(url, { method: 'POST', headers: { ...headers }, body })).text()).trim().split('\n');
    return JSON.parse(lines.at(-1)!) as { type: string; ready?: number; error?: { code: string; message: string } };
  };
  const call = (fn: Published) => fetch(`${net.url}/fn/bob/${fn.name}`, { method: 'POST', body: '1' });

  /** A node that keeps what it is brought. */
  async function keeper(name: string, refuse?: () => string | undefined) {
    const took: string[] = [];
    const node = await net.addNode(name, {
      takeSecrets: (_, bytes) => {
        const words = refuse?.();
        if (words !== undefined) throw new OrbError('bad-signature', { message: words });
        took.push(Buffer.from(bytes).toString());
        return Number.parseInt(took.at(-1)!, 10);
      },
    });
    return { node, took };
  }

  test('a version that needs secrets is seeded by the nodes that have a box, gets it after the code, and runs there alone', async () => {
    const [ant, bee] = [await keeper('ant'), await keeper('bee')];
    const fn = await publish();
    expect(await seed(fn)).toMatchObject({
      type: 'failed',
      error: { code: 'no-node-fits', message: expect.stringContaining('orb secrets sync') },
    });
    expect((await put(fn, 1, [ant.node])).nodes).toEqual([{ node: ant.node.id, holds: null, linked: true }]);
    expect(await seed(fn)).toMatchObject({ type: 'done', ready: 1 });
    expect([ant.took, bee.took]).toEqual([[`1 for ${ant.node.id}`], []]);
    for (let i = 0; i < 5; i++) expect((await call(fn)).headers.get('orb-node')).toBe(ant.node.id);
    expect(bee.node.seeds.size).toBe(0);
    expect((await ask(fn, 'GET')).nodes).toEqual([{ node: ant.node.id, holds: 1, linked: true }]);
  });

  test('a new number is brought to who may have it before the owner is answered; who may not any more gets no jobs', async () => {
    const [ant, bee] = [await keeper('ant'), await keeper('bee')];
    const fn = await publish();
    await put(fn, 1, [ant.node, bee.node]);
    expect(await seed(fn)).toMatchObject({ ready: 2 });
    const { nodes } = await put(fn, 2, [bee.node]);
    expect(nodes).toEqual([{ node: bee.node.id, holds: 2, linked: true }]);
    expect([ant.took, bee.took.at(-1)]).toEqual([[`1 for ${ant.node.id}`], `2 for ${bee.node.id}`]);
    for (let i = 0; i < 5; i++) expect((await call(fn)).headers.get('orb-node')).toBe(bee.node.id);
    expect((await put(fn, 3, [])).nodes).toEqual([]);
    const none = await call(fn);
    expect(none.status).toBe(503);
    expect(await none.text()).toContain('its secrets');
  });

  test('a node that links again without them is brought them; one that says it holds them is not', async () => {
    const fn = await publish();
    const ant = await keeper('ant');
    await put(fn, 1, [ant.node]);
    await seed(fn);
    ant.node.secrets.clear();
    await ant.node.offerSeeds([]);
    await expect.poll(() => ant.took.length).toBe(2);
    await ant.node.offerSeeds([]);
    expect((await call(fn)).status).toBe(200);
    expect(ant.took).toHaveLength(2);
  });

  test('a node that refuses its box is not ready; a box for a later one of its number is added', async () => {
    let words: string | undefined = 'not signed by the control key';
    const [ant, bee] = [await keeper('ant', () => words), await keeper('bee')];
    const fn = await publish();
    await put(fn, 1, [ant.node]);
    expect(await seed(fn)).toMatchObject({ error: { message: expect.stringContaining('not signed') } });
    expect((await put(fn, 1, [bee.node])).nodes.map(({ node }) => node)).toEqual([ant.node.id, bee.node.id]);
    expect(await seed(fn)).toMatchObject({ type: 'done', ready: 1 });
    words = undefined;
    expect(await seed(fn)).toMatchObject({ type: 'done', ready: 2 });
  });

  test('a node of the version before, which offers no secrets, is never asked', async () => {
    const old = await net.addNode('old');
    const fn = await publish();
    await put(fn, 1, [old]);
    expect(await seed(fn)).toMatchObject({ error: { message: expect.stringContaining('the node can keep none') } });
    expect(old.seeds.size).toBe(0);
  });

  test('a secret that a version names and the boxes lack keeps it from being seeded', async () => {
    const ant = await keeper('ant');
    const fn = await publish('keeper', { secrets: ['TOKEN', 'OTHER'] });
    await put(fn, 1, [ant.node]);
    expect(await seed(fn)).toMatchObject({ error: { message: expect.stringContaining('OTHER') } });
  });

  test('with the function its boxes end', async () => {
    const ant = await keeper('ant');
    const fn = await publish();
    await put(fn, 1, [ant.node]);
    await net.net.send('function.control', { function: fn.id, sequence: 1, action: { type: 'decommission' } }, fn.controlKey);
    expect((await ask(fn, 'GET')).error).toMatchObject({ code: 'gone' });
    expect((await put(fn, 2, [ant.node])).error).toMatchObject({ code: 'gone' });
  });

  test('every version of an ended function is dropped, also by a node that never got its secrets', async () => {
    const [ant, bee] = [await keeper('ant'), await keeper('bee')];
    const fn = await publish();
    await put(fn, 1, [ant.node]);
    await seed(fn);
    const code = utf8('// second');
    const manifest = testManifest({ secrets: ['TOKEN'], timeoutMs: 1_000, code: { sha256: sha256(code), bytes: code.length } });
    await net.store.put(sha256(code), code);
    await net.net.send('function.control', { function: fn.id, sequence: 1, action: { type: 'publish', manifest } }, fn.controlKey);
    await seed(fn);
    await bee.node.offerSeeds([...ant.node.seeds]);
    await net.net.send('function.control', { function: fn.id, sequence: 2, action: { type: 'decommission' } }, fn.controlKey);
    const dropped = ({ notices }: ScriptedNode) =>
      notices.flatMap(([method, header]) => (method === 'drop' ? (header as { version: string }).version : [])).toSorted();
    for (const { node } of [ant, bee]) await expect.poll(() => dropped(node)).toEqual([...ant.node.seeds].toSorted());
    expect(ant.node.seeds.size).toBe(2);
  });

  test('only the control key hands in, and asks; what is malformed, old or too much is refused', async () => {
    const ant = await keeper('ant');
    const fn = await publish();
    for (const key of [net.bob, testSigner('thief')])
      expect((await ask(fn, 'GET', undefined, key)).error).toMatchObject({ code: 'forbidden' });
    expect((await ask(fn, 'GET', undefined, null)).error).toMatchObject({ code: 'unauthenticated' });
    expect((await ask(fn, 'PUT', { v: 1, number: 9, names: [], boxes: [] }, net.bob)).error).toMatchObject({ code: 'forbidden' });
    await put(fn, 2, [ant.node]);
    const wrong: [object, string][] = [
      [{ number: 1 }, 'conflict'],
      [{ names: ['OTHER'] }, 'conflict'],
      [{ number: 0 }, 'invalid-request'],
      [{ names: ['token'] }, 'invalid-request'],
      [{ boxes: [[ant.node.id, '!']] }, 'invalid-request'],
      [
        {
          boxes: [
            [ant.node.id, box('a').toString('base64')],
            [ant.node.id, box('b').toString('base64')],
          ],
        },
        'invalid-request',
      ],
      [{ boxes: [[ant.node.id, Buffer.alloc(limits.secretBoxBytes + 3).toString('base64')]] }, 'invalid-request'],
      [{ extra: 1 }, 'invalid-request'],
    ];
    for (const [change, code] of wrong)
      expect((await put(fn, 2, [ant.node], change)).error, JSON.stringify(change).slice(0, 80)).toMatchObject({ code });
    expect(await ask(fn, 'GET')).toMatchObject({ number: 2, names: ['TOKEN'] });
  });
});

describe('the book', () => {
  let folder: string;
  let boxes: MemoryStore;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'orb-secret-book-'));
    boxes = new MemoryStore();
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const fn = sha256('a function');
  const nodeOf = (i: number) => sha256(`node ${i}`);
  const held = async () => (await Array.fromAsync(boxes.list())).length;

  test('outlives a restart; what is replaced or forgotten leaves the disk', async () => {
    const book = await SecretBook.open({ folder }, { boxes });
    await book.put(fn, {
      number: 1,
      names: ['A'],
      boxes: [
        [nodeOf(1), box('one')],
        [nodeOf(2), box('two')],
      ],
    });
    await book.put(fn, { number: 2, names: ['A', 'B'], boxes: [[nodeOf(1), box('three')]] });
    expect(await held()).toBe(1);
    const again = await SecretBook.open({ folder }, { boxes });
    expect(again.get(fn)).toMatchObject({ number: 2, names: ['A', 'B'] });
    expect(Buffer.from((await again.box(fn, nodeOf(1)))!).toString()).toBe('three');
    expect(await again.box(fn, nodeOf(2))).toBeUndefined();
    await expect(again.put(fn, { number: 1, names: ['A'], boxes: [] })).rejects.toMatchObject({ code: 'conflict', details: { number: 2 } });
    await again.forget(fn);
    expect(again.get(fn)).toBeUndefined();
    expect([await held(), readdirSync(folder)]).toEqual([0, []]);
  });

  test('a damaged file costs its function alone, and boxes that no file names are deleted', async () => {
    const book = await SecretBook.open({ folder }, { boxes });
    await book.put(fn, { number: 1, names: ['A'], boxes: [[nodeOf(1), box('one')]] });
    const other = sha256('another function');
    await book.put(other, { number: 1, names: ['A'], boxes: [[nodeOf(1), box('two')]] });
    const path = join(folder, `${fn}.json`);
    writeFileSync(path, readFileSync(path).subarray(0, -1));
    const again = await SecretBook.open({ folder }, { boxes });
    expect([again.get(fn), again.get(other)?.number, await held()]).toEqual([undefined, 1, 1]);
  });

  test('keeps boxes for so many nodes and no more', async () => {
    const book = await SecretBook.open({ folder }, { boxes });
    const many = (from: number, count: number) => Array.from({ length: count }, (_, i) => [nodeOf(from + i), box(`${from + i}`)] as const);
    await book.put(fn, { number: 1, names: [], boxes: many(0, limits.secretNodes) });
    await expect(book.put(fn, { number: 1, names: [], boxes: many(limits.secretNodes, 1) })).rejects.toMatchObject({ code: 'too-large' });
    await book.put(fn, { number: 1, names: [], boxes: many(0, 1) });
    expect(await held()).toBe(limits.secretNodes);
  });
});
