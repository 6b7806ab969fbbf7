import { join } from 'node:path';
import { isOrbError, unitsPerCredit, type Role } from '@orb/protocol';
import { Orb, type Owner } from '@orb/sdk';
import { KeyStore } from '../key-store/key-store.ts';
import { writeProfile, readProfile } from '../session/profile.ts';

/** An account of the demo network, with its key. */
interface DemoAccount extends Owner {
  readonly name: string;
}

export interface DemoAccounts {
  /** Owns the super node. */
  readonly operator: DemoAccount;
  /** Owns and pays for the example. */
  readonly developer: DemoAccount;
  /** Lends the nodes. */
  readonly provider: DemoAccount;
}

const roles = { operator: ['peer'], demo: ['developer'], lender: ['provider'] } as const satisfies Record<string, readonly Role[]>;
/** Below this an account asks the faucet again. */
const enoughUnits = 200n * unitsPerCredit;

/** Makes the accounts on the first run, and finds them on later ones. Test money only: the keys are not encrypted. */
export async function ensureDemoAccounts(url: string, home: string): Promise<DemoAccounts> {
  const keys = new KeyStore({ home }, { forNewKey: async () => undefined, forKey: async () => '' });
  const orb = new Orb({ url });
  const ensure = async (name: keyof typeof roles): Promise<DemoAccount> => {
    const signer = await keys.openOrCreate(keys.pathOfAccount(name), { purpose: 'account', name });
    const { id } = await keys.openAccount(name);
    const known = await orb.accounts.show(id).catch((error: unknown) => {
      if (isOrbError(error) && error.code === 'unknown-account') return undefined;
      throw error;
    });
    if (!known) await orb.accounts.create(name, signer, roles[name]);
    if (name !== 'lender' && (known?.availableUnits ?? 0n) < enoughUnits) await topUp(orb, id, known === undefined);
    return { name, id, signer };
  };
  const accounts = { operator: await ensure('operator'), developer: await ensure('demo'), provider: await ensure('lender') };
  const { chain } = await orb.network();
  const profile = await readProfile(home);
  // What its owner has chosen stays: this is what commands fall back to.
  await writeProfile(home, { ...profile, local: { gateway: url, account: 'demo' }, chains: { ...profile.chains, [url]: chain } });
  return accounts;
}

/** A faucet that gives no more to an old account is no reason not to start. */
async function topUp(orb: Orb, id: string, isNew: boolean): Promise<void> {
  try {
    await orb.accounts.fund(id);
  } catch (error) {
    if (isNew) throw error;
  }
}

/** Where the demo account's keys are, for people. */
export function demoKeyFile(home: string): string {
  return join(home, 'keys', 'demo.json');
}
