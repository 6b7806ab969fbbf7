import { existsSync, readFileSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { rowsRoot, sha256, utf8, type UnsettledAnswer } from '@orb/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { controlNode } from './owner-control/control-node.ts';
import { controlAddress } from './owner-control/control-protocol.ts';
import type { NodeStatus } from './node-status.ts';
import { ScriptedSuperNode, testSigner } from '../test/scripted-super-node.ts';
import { TestNode } from '../test/test-node.ts';

let t: TestNode;
beforeEach(() => {
  t = new TestNode();
});
afterEach(() => t.close());

const evidence = () =>
  existsSync(join(t.folder, 'evidence.jsonl'))
    ? readFileSync(join(t.folder, 'evidence.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
    : [];
const unsettled = async (batch: number): Promise<UnsettledAnswer> =>
  JSON.parse(Buffer.from(await (await t.superNode.link!.call('unsettled', { batch })).body.bytes(262_144)).toString());

describe('a super node’s ticket roots', () => {
  /** The node has taken up everything sent before: links keep their order. */
  const settled = () => unsettled(999);

  test('are kept with their tickets when they hold', async () => {
    await t.startSeeded();
    await t.superNode.run(t.fn);
    t.superNode.signTickets();
    await settled();
    expect(t.node!.status().superNodes[0]).toMatchObject({ wrongRoots: 0 });
    await t.node!.stop();
    const [folder] = readdirSync(join(t.folder, 'receipts'));
    const journal = readdirSync(join(t.folder, 'receipts', folder!))
      .map((name) => readFileSync(join(t.folder, 'receipts', folder!, name), 'latin1'))
      .join('');
    expect(journal).toMatch(/^t /m);
  });

  test.each([
    ['cover other tickets', { root: rowsRoot(['lie']) }],
    ['cover more tickets than came', { count: 3 }],
    ['are not signed by the super node', { signature: '0'.repeat(128) }],
  ])('that %s are kept as evidence and reported', async (_, lie) => {
    await t.startSeeded();
    const { ticket } = await t.superNode.run(t.fn);
    const root = t.superNode.signTickets(lie);
    await settled();
    expect(evidence()).toEqual([expect.objectContaining({ kind: 'ticket-root', root, tickets: [ticket] })]);
    expect(t.node!.status().superNodes[0]).toMatchObject({ wrongRoots: 1 });
    expect(t.log.some((line) => line.includes('signed a wrong root of tickets'))).toBe(true);
    await t.superNode.run(t.fn);
    t.superNode.signTickets();
    await settled();
    expect(t.node!.status().superNodes[0]).toMatchObject({ wrongRoots: 1 });
  });

  test('may not use a number twice', async () => {
    await t.startSeeded();
    for (let i = 0; i < 2; i++) {
      await t.superNode.run(t.fn);
      t.superNode.signTickets({ batch: 5 });
    }
    await settled();
    expect(evidence()).toEqual([expect.objectContaining({ reason: 'its number 5 was used before' })]);
  });
});

describe('restart', () => {
  test('offers its versions without fetching them again, and the roots that are not settled', async () => {
    await t.startSeeded();
    await t.superNode.run(t.fn);
    await t.superNode.provenBatch(1);
    await t.node!.stop();
    t.superNode.roots.length = 0;
    await t.start();
    expect(t.superNode.offers.at(-1)).toMatchObject({ seeds: [t.fn.request.version], lastBatch: 1 });
    expect(t.superNode.fetched).toBe(1);
    await t.superNode.provenBatch(1);
    expect((await unsettled(1)).rows).toHaveLength(1);
    await t.superNode.run(t.fn);
    await t.superNode.provenBatch(2);
  });

  test('sends nothing again that is settled', async () => {
    await t.startSeeded();
    await t.superNode.run(t.fn);
    await t.superNode.provenBatch(1);
    t.superNode.settle(1);
    await unsettled(1);
    await t.node!.stop();
    t.superNode.roots.length = 0;
    await t.start();
    await unsettled(1);
    expect(t.superNode.roots).toEqual([]);
    expect(t.node!.status().superNodes[0]).toMatchObject({ lastBatch: 1, settledBatch: 1, unsettled: 0 });
  });

  test('does not run a ticket again that ran before it', async () => {
    await t.startSeeded();
    await t.superNode.run(t.fn, { ticket: { sequence: 50 } });
    await t.node!.stop();
    await t.start();
    await expect(t.superNode.run(t.fn, { ticket: { sequence: 50 } })).rejects.toMatchObject({ details: { reason: 'replayed' } });
  });

  test('goes on with a journal whose tail is torn', async () => {
    await t.startSeeded();
    await t.superNode.run(t.fn);
    await t.superNode.provenBatch(1);
    await t.node!.stop();
    const folder = join(t.folder, 'receipts', readdirSync(join(t.folder, 'receipts'))[0]!);
    const last = join(folder, readdirSync(folder).sort().at(-1)!);
    truncateSync(last, statSync(last).size - 7);
    await t.start();
    await t.superNode.run(t.fn);
    await t.superNode.until(() => t.superNode.roots.at(-1)!.batch === 2);
  });
});

describe('several super nodes', () => {
  test('each has its own receipts, and the loss of one does not touch the others', async () => {
    const other = new ScriptedSuperNode(testSigner('node'), 'other super node');
    await t.superNode.listen(t.transport);
    await other.listen(t.transport);
    t.superNode.offers.length = 0;
    const superNodes = [t.superNode, other].map(({ address, signer }) => ({ address, key: signer.publicKey }));
    const listen = t.superNode.listen;
    t.superNode.listen = async () => undefined;
    await t.startSeeded({ superNodes });
    t.superNode.listen = listen;
    await other.linked();
    await other.run(t.fn);
    await other.provenBatch(1);
    await other.close();
    await t.superNode.run(t.fn);
    await t.superNode.provenBatch(1);
    expect(t.node!.status().superNodes.map(({ lastBatch }) => lastBatch)).toEqual([1, 1]);
  });

  test('a link that proves another key is refused', async () => {
    await t.superNode.listen(t.transport);
    const listen = t.superNode.listen;
    t.superNode.listen = async () => undefined;
    t.superNode.offers.push(undefined as never);
    const started = t.start({ superNodes: [{ address: t.superNode.address, key: sha256('another') }] });
    await expect.poll(() => t.log.some((line) => line.includes('No link to'))).toBe(true);
    expect(t.superNode.offers).toHaveLength(1);
    expect(t.log.some((line) => /key/i.test(line))).toBe(true);
    t.superNode.listen = listen;
    t.superNode.offers.push(undefined as never);
    void started;
  });
});

describe('the owner', () => {
  const ask = (request: Parameters<typeof controlNode>[1]) => controlNode(t.folder, request) as Promise<NodeStatus>;

  test('sees status, pauses, resumes and changes terms over the control channel', async () => {
    await t.startSeeded({ label: 'attic' });
    await t.superNode.run(t.fn);
    expect(await ask({ command: 'status' })).toMatchObject({
      label: 'attic',
      state: 'lending',
      running: 0,
      jobs: { done: 1, outcomes: { ok: 1 } },
      versions: [{ name: 'owner/hello' }],
      superNodes: [{ linked: true, unsettled: 1, address: t.superNode.address }],
      offer: { slots: 32, memoryMiB: 2_048, rate: '10' },
    });
    expect(await ask({ command: 'pause' })).toMatchObject({ state: 'paused', offer: { accepting: false } });
    expect(await ask({ command: 'resume' })).toMatchObject({ state: 'lending' });
    expect(await ask({ command: 'set', settings: { slots: 3, price: '25' } })).toMatchObject({
      offer: { slots: 3, rate: '25', memoryMiB: 2_048 },
    });
    await t.superNode.until(() => t.superNode.offers.at(-1)!.slots === 3);
    await expect(t.superNode.run(t.fn)).rejects.toMatchObject({ details: { reason: 'rate-too-low' } });
  });

  test('stops it without losing a running job, and its last batch is proven', async () => {
    const gate = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    await t.close();
    t = new TestNode(async () => {
      entered.resolve();
      await gate.promise;
      return { body: utf8('done') };
    });
    const node = await t.startSeeded();
    const job = t.superNode.run(t.fn);
    await entered.promise;
    expect(await ask({ command: 'stop' })).toMatchObject({ running: 1 });
    await t.superNode.until(() => !t.superNode.offers.at(-1)!.accepting);
    await expect(t.superNode.run(t.fn)).rejects.toMatchObject({ details: { reason: 'stopping' } });
    gate.resolve();
    expect(Buffer.from((await job).body).toString()).toBe('done');
    await node.ended;
    await t.superNode.provenBatch(1);
    await expect(ask({ command: 'status' })).rejects.toMatchObject({ code: 'not-found' });
  });

  test('a large answer that waits for its reader is delivered before the node leaves', async () => {
    await t.close();
    t = new TestNode(async () => ({ body: new Uint8Array(2 * 1024 * 1024).fill(7) }));
    const node = await t.startSeeded();
    const { answer } = await t.superNode.send(t.fn);
    let drained = false;
    const draining = node.drain().then(() => (drained = true));
    await unsettled(1);
    expect(drained).toBe(false);
    expect(await answer.body.bytes(3_000_000)).toHaveLength(2 * 1024 * 1024);
    await draining;
  });

  test('alone can open the control channel', async () => {
    await t.startSeeded();
    expect(statSync(controlAddress(t.folder)).mode & 0o777).toBe(0o600);
    expect(statSync(join(t.folder, 'control')).mode & 0o777).toBe(0o700);
  });

  test('gets a clear word for what is not a command, and the node goes on', async () => {
    await t.startSeeded();
    await expect(ask({ command: 'dance' } as never)).rejects.toMatchObject({ code: 'invalid-request' });
    await expect(ask({ command: 'set', settings: { slots: -1 } })).rejects.toMatchObject({
      code: 'invalid-request',
      message: expect.stringContaining('slots'),
    });
    await expect(ask({ command: 'status', pad: 'x'.repeat(10_000) } as never)).rejects.toMatchObject({});
    await expect(ask({ command: 'status' })).resolves.toMatchObject({ state: 'lending' });
  });

  test('cannot start a second node on one data folder', async () => {
    await t.startSeeded();
    const first = t.node;
    await expect(t.start()).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('running on') });
    t.node = first;
    await t.superNode.run(t.fn);
  });
});

describe('hostile messages', () => {
  test.each([
    ['tickets', { batch: 'x' }],
    ['settled', { batch: -1 }],
    ['settled', null],
    ['drop', { version: 'x' }],
    ['nonsense', {}],
  ])('a bad %s notice changes nothing', async (method, header) => {
    await t.startSeeded();
    t.superNode.link!.notify(method, header);
    await t.superNode.run(t.fn);
    expect(t.node!.status()).toMatchObject({ versions: [{ name: 'owner/hello' }] });
  });

  test.each([
    ['unsettled', { batch: 0 }, 'invalid-request'],
    ['unsettled', 'x', 'invalid-request'],
    ['seed', { name: 'x' }, 'invalid-request'],
    ['become-root', {}, 'not-supported'],
  ])('a bad %s call is answered with an error', async (method, header, code) => {
    await t.startSeeded();
    await expect(t.superNode.link!.call(method, header)).rejects.toMatchObject({ code });
    await t.superNode.run(t.fn);
  });
});
