import { afterEach, beforeEach, expect, test } from 'vitest';
import { receiptFromRow } from '@orb/protocol';
import { testAddress } from '../../test/little-internet.ts';
import { testFunction } from '../../test/scripted-super-node.ts';
import { TestNode } from '../../test/test-node.ts';
import { controlNode } from '../owner-control/control-node.ts';

let t: TestNode;
const asker = testFunction(
  'asker',
  `export default async (input) => {
    try { const r = await fetch(input.url); return { status: r.status, text: await r.text() }; } catch (e) { return { code: e.code, message: e.message }; }
  }`,
  { network: ['api.example.org:80'] },
);
const ask = async (url: string) => {
  const { body, trailer } = await t.superNode.run(asker, {
    body: new TextEncoder().encode(JSON.stringify({ url })),
    request: { headers: [['content-type', 'application/json']] },
  });
  return { said: JSON.parse(Buffer.from(body).toString()) as unknown, receipt: receiptFromRow(trailer.receipt) };
};

beforeEach(async () => {
  t = new TestNode();
  t.internet.names.set('api.example.org', [testAddress]);
  await t.internet.serve(80, { listener: (_, response) => void response.end('x'.repeat(10_000)) });
});
afterEach(() => t.close());

test('a node whose owner allows no network says so in its offer and seeds nothing that asks for it', async () => {
  await t.start();
  expect(t.superNode.offers.at(-1)).not.toHaveProperty('network');
  expect(await t.superNode.seed(asker)).toEqual({ seeding: false, reason: 'network: api.example.org:80 wanted, none offered' });
});

test('one whose owner allows it offers it, asks for the function, and counts the bytes on the receipt', async () => {
  await t.start({ settings: { network: ['*.example.org:80'] } });
  expect(t.superNode.offers.at(-1)).toMatchObject({ network: ['*.example.org:80'] });
  expect(await t.superNode.seed(asker)).toEqual({ seeding: true });
  const { said, receipt } = await ask('http://api.example.org/');
  expect(said).toEqual({ status: 200, text: 'x'.repeat(10_000) });
  expect(receipt.network!.bytesIn).toBeGreaterThan(10_000);
  expect(receipt.network!.bytesOut).toBeGreaterThan(20);
});

test('a function reaches no more than its manifest asks for, and a refused request is no traffic', async () => {
  await t.start({ settings: { network: 'public' } });
  await t.superNode.seed(asker);
  const { said, receipt } = await ask('http://other.example.org/');
  expect(said).toMatchObject({ code: 'forbidden' });
  expect(receipt.network).toBeUndefined();
  expect(t.internet.dialled).toEqual([]);
});

test('what the owner takes back is gone at once: from the offer, and from the shelf', async () => {
  await t.start({ settings: { network: 'public' } });
  await t.superNode.seed(asker);
  expect((await ask('http://api.example.org/')).said).toMatchObject({ status: 200 });
  await controlNode(t.folder, { command: 'set', settings: { network: 'none' } });
  await t.superNode.until(() => !('network' in t.superNode.offers.at(-1)!));
  await expect(ask('http://api.example.org/')).rejects.toMatchObject({ code: 'node-refused' });
});
