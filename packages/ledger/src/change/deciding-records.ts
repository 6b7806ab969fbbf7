import {
  decidingPeers,
  limits,
  OrbError,
  stateKeys,
  type AccountId,
  type Hex32,
  type StateRecord,
  type SuperNodeRecord,
} from '@orb/protocol';
import { rangeLimitMax, type State } from '../state.ts';

/**
 * The records that say who may change the orderer: the parameters, and each deciding account with its super nodes.
 * @param root that they must lead to
 * @throws OrbError `ledger-unavailable` while a block is being made
 */
export function decidingRecords(state: State, root: Hex32, treasury: AccountId): StateRecord[] {
  if (state.root() !== root) throw new OrbError('ledger-unavailable', { message: 'A block is just being made.', retryAfterMs: 100 });
  const parameters = state.parameters();
  const deciding = decidingPeers(parameters, treasury);
  const keys = [stateKeys.currentParameters, stateKeys.parameters(parameters.version), ...deciding.map(stateKeys.account)];
  for (let after: string | undefined; ;) {
    const page = state.range('super-node/', after, rangeLimitMax);
    for (const { key, value } of page) if (deciding.includes((value as unknown as SuperNodeRecord).account)) keys.push(key);
    if (page.length < rangeLimitMax) break;
    after = page.at(-1)!.key;
  }
  // An account may be listed before it is made.
  return keys.flatMap((key) => state.proofOf(key) ?? []).slice(0, 3 * limits.peers);
}
