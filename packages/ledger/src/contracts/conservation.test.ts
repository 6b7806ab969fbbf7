import { accountId, type Json } from '@orb/protocol';
import { expect, test } from 'vitest';
import { testGenesis, treasury } from '../testing/network.ts';
import { auditSupply, checkConservation } from './conservation.ts';
import { genesisState } from './genesis-state.ts';

const treasuryId = accountId(treasury.publicKey);
const before = new Map<string, Json>([
  ...genesisState(testGenesis()),
  [`balance/${treasuryId}`, { available: '-100' }],
  ['supply', { minted: '100', burned: '0' }],
  ['balance/bob', { available: '60' }],
  ['allowance/1', { left: '25' }],
  ['super-node/1', { bond: '10' }],
  ['credit/alice/1', { vested: '2', vesting: [[5, '3']] }],
]);

const check = (writes: Record<string, Json | null>) => checkConservation(new Map(Object.entries(writes)), before, treasuryId);

test('money may move between balances, allowances, bonds and credits', () => {
  check({
    'balance/bob': { available: '0' },
    'allowance/1': null,
    'super-node/1': { bond: '50' },
    'credit/alice/1': {
      vested: '0',
      vesting: [
        [5, '3'],
        [6, '47'],
      ],
    },
  });
  check({ [`balance/${treasuryId}`]: { available: '-110' }, 'balance/bob': { available: '70' } });
});

test('a block that makes or loses a single unit, or puts anybody but the treasury in debt, is not committed', () => {
  expect(() => check({ 'balance/bob': { available: '61' } })).toThrow('make 1 base units');
  expect(() => check({ 'credit/alice/1': null })).toThrow('lose 5 base units');
  expect(() => check({ 'balance/bob': { available: '-1' }, 'balance/eve': { available: '61' } })).toThrow('would owe 1');
});

test('a full count finds what is missing and who owes', () => {
  expect(auditSupply(before, treasuryId)).toMatchObject({ ok: true, total: 0n, minted: 100n, outstanding: 100n, redeemed: 0n });
  expect(auditSupply([...before, ['balance/eve', { available: '5' }]], treasuryId)).toMatchObject({ ok: false, total: 5n });
  const owing = [...before, ['balance/eve', { available: '-5' }], ['balance/dan', { available: '5' }]] as [string, Json][];
  expect(auditSupply(owing, treasuryId)).toMatchObject({ ok: false, total: 0n, negative: ['balance/eve'] });
});
