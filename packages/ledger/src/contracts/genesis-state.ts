import {
  accountId,
  stateKeys,
  type AccountId,
  type AccountRecord,
  type BalanceRecord,
  type Genesis,
  type Json,
  type SupplyRecord,
} from '@orb/protocol';

/** The account that mints and burns. */
export function treasuryOf(genesis: Genesis): AccountId {
  return accountId(genesis.treasuryKey);
}

/** The state of block 0: the treasury, no money yet, the first parameters. */
export function genesisState(genesis: Genesis): ReadonlyMap<string, Json> {
  const id = treasuryOf(genesis);
  const { parameters } = genesis;
  const records: [string, object | string | number][] = [
    [stateKeys.account(id), { id, name: 'treasury', keys: [genesis.treasuryKey], roles: [], sequence: 0 } satisfies AccountRecord],
    [stateKeys.accountName('treasury'), id],
    [stateKeys.balance(id), { available: '0' } satisfies BalanceRecord],
    [stateKeys.supply, { minted: '0', burned: '0' } satisfies SupplyRecord],
    [stateKeys.parameters(parameters.version), parameters],
    [stateKeys.currentParameters, parameters.version],
  ];
  return new Map(records as [string, Json][]);
}
