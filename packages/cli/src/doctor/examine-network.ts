import { asOrbError, isOrbError, limits } from '@orb/protocol';
import type { Orb } from '@orb/sdk';
import type { Finding } from './finding.ts';

/** Whether the super node answers, whether clocks agree, whether the account is there. */
export async function examineNetwork(orb: Orb, account: string | undefined): Promise<readonly Finding[]> {
  const network = await orb.network().catch((error: unknown) => asOrbError(error));
  if (isOrbError(network)) {
    return [{ name: 'network', state: 'bad', words: network.message, ...(network.hint !== undefined && { mend: network.hint }) }];
  }
  const reached: Finding = { name: 'network', state: 'good', words: `${network.name} at ${orb.url}, block ${network.head.height}` };
  return [reached, await examineClock(orb.url), await examineAccount(orb, account)];
}

/** Signed requests and tickets are good for a short time only. */
async function examineClock(url: string): Promise<Finding> {
  const name = 'clock';
  const answer = await fetch(`${url}/v1/network`, { redirect: 'error', signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
  await answer?.body?.cancel();
  // In whole seconds.
  const theirs = Date.parse(answer?.headers.get('date') ?? '');
  if (Number.isNaN(theirs)) return { name, state: 'warn', words: 'The super node does not tell its time.' };
  const aheadMs = Date.now() - theirs - 500;
  if (Math.abs(aheadMs) <= limits.signedRequestSkewMs / 4) return { name, state: 'good', words: 'agrees with the super node’s' };
  return {
    name,
    state: Math.abs(aheadMs) > limits.signedRequestSkewMs ? 'bad' : 'warn',
    words: `is ${Math.round(Math.abs(aheadMs) / 1_000)} s ${aheadMs > 0 ? 'ahead of' : 'behind'} the super node’s`,
    mend: 'Set it by network time: on Linux, timedatectl set-ntp true',
  };
}

async function examineAccount(orb: Orb, account: string | undefined): Promise<Finding> {
  const name = 'account';
  if (account === undefined) return { name, state: 'warn', words: 'None is chosen on this machine.', mend: 'orb account create NAME, or orb account use NAME' };
  const found = await orb.accounts.idOf(account);
  if (found !== undefined) return { name, state: 'good', words: account };
  return { name, state: 'warn', words: `${account} is not on this network.`, mend: `orb account create ${account}, or orb account use NAME` };
}
