import { canonical, chainId, type Json } from '@orb/protocol';
import { expect, test, vi } from 'vitest';
import { LedgerEngine } from './engine.ts';
import { genesisBlock, stateAtGenesis } from './genesis.ts';
import { MemoryKeeping } from './memory/memory-keeping.ts';
import type { NewBlock } from './keeping.ts';
import { createMemoryLedger } from './memory/memory-ledger.ts';
import { orderer, testGenesis, TestClock, TestNetwork, testSigner } from './testing/network.ts';

/** A disk that fails after some blocks. */
class FailingKeeping extends MemoryKeeping {
  failing = false;

  override async append(block: NewBlock): Promise<void> {
    if (this.failing) throw new Error('ENOSPC: no space left on device');
    await super.append(block);
  }
}

test('when the disk fails nobody is told that anything was kept, nothing more is taken, and what was kept stays readable', async () => {
  const genesis = testGenesis();
  const state = stateAtGenesis(genesis);
  const block = genesisBlock(genesis, state, orderer);
  const keeping = new FailingKeeping();
  await keeping.append({ block, text: canonical(block as unknown as Json), delta: [] });
  const clock = new TestClock();
  const ledger = new LedgerEngine(
    { genesis, chain: chainId(genesis), ordererKey: orderer, clock: clock.read, head: block.header, state },
    { keeping },
  );
  const net = new TestNetwork(ledger, clock);
  await net.createAccount('bob');
  keeping.failing = true;
  const create = (name: string) => net.send('account.create', { name, key: testSigner(name).publicKey, roles: [] }, testSigner(name));
  const answers = await Promise.allSettled(['ann', 'bea', 'cid'].map(create));
  for (const answer of answers)
    expect(answer).toMatchObject({
      status: 'rejected',
      reason: { code: 'ledger-unavailable', message: expect.stringContaining('no space left') },
    });
  keeping.failing = false;
  await expect(create('dan')).rejects.toMatchObject({ code: 'ledger-unavailable' });
  expect(ledger.head.height).toBe(1);
  expect(await ledger.get('account-name/ann')).toBeUndefined();
  expect(await ledger.get('account-name/bob')).toBeDefined();
  await ledger.close();
});

test('a follower that throws is warned about and disturbs nobody', async () => {
  const clock = new TestClock();
  const ledger = await createMemoryLedger({ genesis: testGenesis(), ordererKey: orderer, clock: clock.read });
  const warned = new Promise((resolve) => vi.spyOn(process, 'emitWarning').mockImplementation((warning) => resolve(warning)));
  const seen: number[] = [];
  ledger.follow(0, ({ block }) => {
    seen.push(block.header.height);
    if (block.header.height === 0) throw new Error('mine');
  });
  expect(await warned).toMatchObject({ message: 'mine' });
  const other = new Promise<number>((resolve) => ledger.follow(1, ({ block }) => resolve(block.header.height)));
  await new TestNetwork(ledger, clock).createAccount('bob');
  expect(await other).toBe(1);
  expect(seen).toEqual([0, 1]);
  vi.restoreAllMocks();
  await ledger.close();
});

test('records that are read cannot be changed from outside', async () => {
  const clock = new TestClock();
  const ledger = await createMemoryLedger({ genesis: testGenesis(), ordererKey: orderer, clock: clock.read });
  const parameters = (await ledger.get('parameters/1')) as { split: { relayBps: number } };
  expect(() => {
    parameters.split.relayBps = 0;
  }).toThrow(TypeError);
  await ledger.close();
});

test('ledger time never goes back, whatever the orderer’s clock does', async () => {
  const clock = new TestClock();
  const ledger = await createMemoryLedger({ genesis: testGenesis(), ordererKey: orderer, clock: clock.read });
  const net = new TestNetwork(ledger, clock);
  clock.advance(1_000.7);
  await net.createAccount('ann');
  const { time } = ledger.head;
  clock.advance(-5_000);
  await net.createAccount('bea');
  expect([time, ledger.head.time]).toEqual([1_800_000_001_000, 1_800_000_001_000]);
  await ledger.close();
});
