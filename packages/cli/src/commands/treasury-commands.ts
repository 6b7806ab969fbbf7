import type { Command } from 'commander';
import { stateKeys, type SupplyRecord } from '@orb/protocol';
import type { Orb } from '@orb/sdk';
import type { Session } from '../session/session.ts';
import { treasuryOf } from '../session/treasury.ts';
import { formatMoney } from '../terminal/format.ts';
import type { CommandContext } from './command-context.ts';
import { credits } from './option-values.ts';

const folderOption = ['--folder <folder>', 'the super node’s folder that holds the treasury’s key'] as const;

/** `orb treasury …`: money is made and unmade by the treasury alone. */
export function addTreasuryCommands(program: Command, context: CommandContext): void {
  const treasury = program.command('treasury').description('the treasury: makes money, and takes redeemed money out of the world');
  treasury
    .command('mint')
    .description('make new money for an account')
    .argument('<account>', 'name or id')
    .argument('<credits>', 'how many', credits)
    .requiredOption(...folderOption)
    .action(async (to: string, units: bigint, { folder }: { folder: string }, command: Command) =>
      mint(context.session(command), to, units, folder),
    );
  treasury
    .command('burn')
    .description('take what was redeemed out of the world for good')
    .argument('[credits]', 'how many (default: all of it)', credits)
    .requiredOption(...folderOption)
    .action(async (units: bigint | undefined, { folder }: { folder: string }, command: Command) =>
      burn(context.session(command), units, folder),
    );
}

async function mint(session: Session, to: string, units: bigint, folder: string): Promise<void> {
  const { orb, owner } = await treasuryOf(session, folder);
  const receiver = await orb.accounts.show(to);
  const { height } = await orb.ledger.sendAs(owner.id, 'treasury.mint', { to: receiver.id, units: String(units) }, [owner.signer]);
  session.result({ to: receiver.id, units, height, supply: await supplyOf(orb) }, () => {
    const { style } = session.terminal;
    return `${style.good('✓')} ${style.strong(formatMoney(units))} of new money for ${style.strong(receiver.name)}.`;
  });
}

async function burn(session: Session, wanted: bigint | undefined, folder: string): Promise<void> {
  const { orb, owner } = await treasuryOf(session, folder);
  const { minted, burned } = await supplyOf(orb);
  const { availableUnits } = await orb.accounts.show(owner.id);
  // The treasury owes minted − burned; what its balance lacks of that debt has come back to it.
  const redeemed = BigInt(minted) - BigInt(burned) + availableUnits;
  const units = wanted ?? redeemed;
  const burning = units > 0n && (await orb.ledger.sendAs(owner.id, 'treasury.burn', { units: String(units) }, [owner.signer]));
  session.result({ units, height: burning ? burning.height : null, supply: await supplyOf(orb) }, () => {
    const { style } = session.terminal;
    if (units <= 0n) return 'Nothing has been redeemed that is not burned already.';
    return `${style.good('✓')} ${style.strong(formatMoney(units))} ${units === 1n ? 'is' : 'are'} out of the world.`;
  });
}

async function supplyOf(orb: Orb): Promise<SupplyRecord> {
  return ((await orb.ledger.get(stateKeys.supply)) as SupplyRecord | undefined) ?? { minted: '0', burned: '0' };
}
