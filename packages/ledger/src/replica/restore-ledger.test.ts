import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blockHash, type Block } from '@orb/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { setStage, type Stage } from '../conformance/stage.ts';
import { openEmbeddedLedger } from '../embedded/embedded-ledger.ts';
import { createMemoryLedger } from '../memory/memory-ledger.ts';
import { orderer, testSigner } from '../testing/network.ts';
import { restoreLedger } from './restore-ledger.ts';

let folder: string;
let stage: Stage;
let blocks: Block[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orb-restore-'));
  stage = await setStage(createMemoryLedger);
  const { net, superNode, node, job, ledger } = stage;
  await net.settle(superNode, [net.batch(superNode, node, [job(0), job(1)])]);
  blocks = await Promise.all(Array.from({ length: ledger.head.height + 1 }, async (_, height) => (await ledger.block(height))!));
});
afterEach(async () => {
  await stage.ledger.close();
  await rm(folder, { recursive: true, force: true });
});

async function* from(values: readonly unknown[]): AsyncGenerator<unknown> {
  yield* values;
}

test('a ledger that is restored block by block is the same ledger: its orderer goes on from there', async () => {
  const { ledger, clock, id } = stage;
  const head = await restoreLedger({ folder, genesis: ledger.genesis, blocks: from(blocks) });
  expect(blockHash(head)).toBe(blockHash(ledger.head));
  const restored = await openEmbeddedLedger({ folder, ordererKey: orderer, clock: clock.read });
  expect(await restored.range('')).toEqual(await ledger.range(''));
  expect(await restored.job(id(1))).toEqual(await ledger.job(id(1)));
  await restored.close();
});

test('a restore that was broken off goes on from where it was', async () => {
  const { genesis } = stage.ledger;
  expect((await restoreLedger({ folder, genesis, blocks: from(blocks.slice(0, 3)) })).height).toBe(2);
  expect(await restoreLedger({ folder, genesis, blocks: from(blocks) })).toEqual(stage.ledger.head);
});

test('the first wrong block ends a restore, and those before it are kept', async () => {
  const { genesis } = stage.ledger;
  const wrong = blocks.with(3, { ...blocks[3]!, signature: testSigner('eve').sign(new Uint8Array(1)) });
  await expect(restoreLedger({ folder, genesis, blocks: from(wrong) })).rejects.toMatchObject({
    code: 'ledger-corrupt',
    details: { height: 3 },
  });
  expect((await restoreLedger({ folder, genesis, blocks: from(blocks) })).height).toBe(blocks.length - 1);
});

test('a back-up of another network, or without a block, is refused', async () => {
  const { genesis } = stage.ledger;
  await expect(restoreLedger({ folder, genesis, blocks: from([]) })).rejects.toMatchObject({ code: 'ledger-corrupt' });
  await expect(
    restoreLedger({ folder: join(folder, 'other'), genesis: { ...genesis, name: 'other' }, blocks: from(blocks) }),
  ).rejects.toMatchObject({
    code: 'wrong-chain',
  });
});
