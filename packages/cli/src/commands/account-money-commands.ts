import type { Command } from 'commander';
import { accountId } from '@orb/protocol';
import type { Session } from '../session/session.ts';
import { formatInstant, formatMoney } from '../terminal/format.ts';
import type { CommandContext } from './command-context.ts';
import { credits } from './option-values.ts';

/** Super nodes of one sweep: what one transaction may name. */
const sweptTogether = 64;

/** What an account does with its money: `orb account transfer`, `redeem`, `sweep`. */
export function addAccountMoneyCommands(account: Command, context: CommandContext): void {
  account
    .command('transfer')
    .description('send credits to another account')
    .argument('<to>', 'account name or id')
    .argument('<credits>', 'how many', credits)
    .action(async (to: string, units: bigint, _: unknown, command: Command) => transfer(context.session(command), to, units));
  account
    .command('redeem')
    .description('give credits back to the network’s treasury, which takes them out of the world')
    .argument('<credits>', 'how many', credits)
    .action(async (units: bigint, _: unknown, command: Command) => redeem(context.session(command), units));
  account
    .command('sweep')
    .description('move what the account has earned, and what can no longer be disputed, to what it can spend')
    .action(async (_: unknown, command: Command) => sweep(context.session(command)));
}

async function transfer(session: Session, to: string, units: bigint): Promise<void> {
  const { orb, owner } = await session.orbAs();
  const receiver = await orb.accounts.show(to);
  const { id, height } = await orb.accounts.transfer(owner.id, receiver.id, units, owner.signer);
  const { availableUnits, name } = await orb.accounts.show(owner.id);
  const result = { from: owner.id, to: receiver.id, units, availableUnits, transaction: id, height };
  session.result(result, () => {
    const { style } = session.terminal;
    return `${style.good('✓')} ${name} has sent ${style.strong(formatMoney(units))} to ${style.strong(receiver.name)} and has ${formatMoney(availableUnits)} left.`;
  });
}

async function redeem(session: Session, units: bigint): Promise<void> {
  const { orb, owner } = await session.orbAs();
  const { genesis } = await orb.network();
  const { id, height } = await orb.accounts.transfer(owner.id, accountId(genesis.treasuryKey), units, owner.signer);
  const { availableUnits, name } = await orb.accounts.show(owner.id);
  session.result({ account: owner.id, units, availableUnits, transaction: id, height }, () => {
    const { style } = session.terminal;
    return `${style.good('✓')} ${name} has given ${style.strong(formatMoney(units))} back to the treasury and has ${formatMoney(availableUnits)} left.`;
  });
}

async function sweep(session: Session): Promise<void> {
  const { orb, owner } = await session.orbAs();
  const now = Date.now();
  const earned = await orb.accounts.earned(owner.id);
  const due = earned.filter(({ vested, vesting }) => vested !== '0' || (vesting[0] !== undefined && vesting[0][0] <= now));
  const before = await orb.accounts.show(owner.id);
  const places = due.map(({ superNode }) => superNode);
  for (let i = 0; i < places.length; i += sweptTogether)
    await orb.accounts.sweep(owner.id, places.slice(i, i + sweptTogether), owner.signer);
  const after = await orb.accounts.show(owner.id);
  const sweptUnits = after.availableUnits - before.availableUnits;
  const times = earned.flatMap(({ vesting }) => vesting.map(([when]) => when)).filter((when) => when > now);
  const nextMs = times.length === 0 ? null : Math.min(...times);
  session.result({ account: owner.id, sweptUnits, superNodes: places, availableUnits: after.availableUnits, nextMs }, () => {
    const { style } = session.terminal;
    if (places.length === 0)
      return `Nothing that ${after.name} has earned waits to be swept.${nextMs === null ? '' : ` The next part vests at ${formatInstant(nextMs)}.`}`;
    return `${style.good('✓')} ${after.name} has swept ${style.strong(formatMoney(sweptUnits))} and can spend ${formatMoney(after.availableUnits)}.`;
  });
}
