import { InvalidArgumentError, type Command } from 'commander';
import { OrbError, isOrbError, roles, type Role } from '@orb/protocol';
import type { AccountInfo, Orb } from '@orb/sdk';
import { formatInstant, formatMoney, shortId } from '../terminal/format.ts';
import { renderFacts, renderTable } from '../terminal/table.ts';
import type { Style } from '../terminal/style.ts';
import type { Session } from '../session/session.ts';
import { addAccountKeyCommands } from './account-key-commands.ts';
import { addAccountMoneyCommands } from './account-money-commands.ts';
import type { CommandContext } from './command-context.ts';

/** `orb account …` and `orb fund`. */
export function addAccountCommands(program: Command, context: CommandContext): void {
  const account = program.command('account').description('accounts: make, fund, show, choose');
  account
    .command('create')
    .description('make a key on this machine and register its account on the ledger')
    .argument('<name>', 'name of the account, for ever')
    .option('--role <role>', `what it does: ${roles.join(', ')}; may be given more than once (default: developer)`, collectRole)
    .option('--passphrase', 'ask for a passphrase and encrypt the key with it')
    .action(async (name: string, options: { role?: readonly Role[] }, command: Command) =>
      createAccount(context.session(command), name, options.role ?? ['developer']),
    );
  account
    .command('fund')
    .description('get test money from the network’s faucet')
    .argument('[name]', 'account name or id; the default account when left out')
    .action(async (name: string | undefined, _: unknown, command: Command) => fundAccount(context.session(command), name));
  account
    .command('show')
    .description('an account as the ledger has it')
    .argument('[name]', 'account name or id; the default account when left out')
    .action(async (name: string | undefined, _: unknown, command: Command) => showAccount(context.session(command), name));
  account
    .command('list')
    .description('the accounts whose keys are on this machine')
    .action(async (_: unknown, command: Command) => listAccounts(context.session(command)));
  account
    .command('use')
    .description('choose the default account')
    .argument('<name>', 'name of an account on this machine')
    .action(async (name: string, _: unknown, command: Command) => useAccount(context.session(command), name));
  addAccountMoneyCommands(account, context);
  addAccountKeyCommands(account, context);
  program
    .command('fund')
    .description('get test money; short for account fund')
    .argument('[name]', 'account name or id; the default account when left out')
    .action(async (name: string | undefined, _: unknown, command: Command) => fundAccount(context.session(command), name));
}

function collectRole(value: string, previous: readonly Role[] = []): readonly Role[] {
  const role = roles.find((known) => known === value);
  if (!role) throw new InvalidArgumentError(`Choose from ${roles.join(', ')}.`);
  return previous.includes(role) ? previous : [...previous, role];
}

async function createAccount(session: Session, name: string, wanted: readonly Role[]): Promise<void> {
  const path = session.keys.pathOfAccount(name);
  // Asked first, so that a network that cannot be reached leaves no key behind.
  const visitor = await session.orb();
  await refuseTakenName(session, visitor, name, path);
  const label = { purpose: 'account', name } as const;
  const opened = await session.keys.open(path, label);
  if (!opened) await session.keys.create(path, label);
  const { orb, owner } = await session.orbAs(name);
  const registered = await orb.accounts.show(owner.id).catch(undefinedIfUnknown);
  if (!registered) await orb.accounts.create(name, owner.signer, wanted);
  await session.changeProfile((profile) => ((profile.account ?? profile.local) ? profile : { ...profile, account: name }));
  const info = registered ?? (await orb.accounts.show(owner.id));
  const encrypted = (await session.keys.peek(path))?.encryption !== null;
  session.result({ account: publicAccount(info), keyFile: path, encrypted, created: !registered }, () => {
    const { style } = session.terminal;
    return [
      `${style.good('✓')} ${registered ? 'The account' : 'Account'} ${style.strong(info.name)} ${registered ? 'was on the ledger already' : 'is on the ledger'}.`,
      renderFacts(
        [
          ['id', info.id],
          ['roles', info.roles.join(', ')],
          ['key', `${path} (${encrypted ? 'encrypted' : 'not encrypted'})`],
        ],
        style,
        '  ',
      ),
      style.quiet('  Back up the key file: whoever has it has the account, and nobody can make it again.'),
    ].join('\n');
  });
}

async function refuseTakenName(session: Session, orb: Orb, name: string, path: string): Promise<void> {
  const holder = await orb.accounts.idOf(name);
  const own = await session.keys.peek(path);
  if (holder !== undefined && (!own || session.keys.accountOf(own) !== holder)) {
    throw new OrbError('name-taken', {
      message: `The name ${name} belongs to another account on this network.`,
      hint: 'Choose another name.',
    });
  }
}

function undefinedIfUnknown(error: unknown): undefined {
  if (isOrbError(error) && error.code === 'unknown-account') return undefined;
  throw error;
}

async function fundAccount(session: Session, name: string | undefined): Promise<void> {
  const orb = await session.orb();
  const before = await orb.accounts.show(name ?? (await session.accountName()));
  await orb.accounts.fund(before.id);
  const after = await orb.accounts.show(before.id);
  session.result({ account: publicAccount(after), grantedUnits: after.availableUnits - before.availableUnits }, () => {
    const { style } = session.terminal;
    return `${style.good('✓')} ${after.name} received ${formatMoney(after.availableUnits - before.availableUnits)} and has ${style.strong(formatMoney(after.availableUnits))}.`;
  });
}

async function showAccount(session: Session, name: string | undefined): Promise<void> {
  const orb = await session.orb();
  const info = await orb.accounts.show(name ?? (await session.accountName()));
  session.result({ account: publicAccount(info) }, () => describeAccount(info, session.terminal.style));
}

function describeAccount(info: AccountInfo, style: Style): string {
  return [
    style.strong(info.name),
    renderFacts(
      [
        ['id', info.id],
        ['roles', info.roles.join(', ') || 'none'],
        ['available', formatMoney(info.availableUnits)],
        ['earned', `${formatMoney(info.earnedUnits)} not swept yet`],
        ['keys', info.keys.map(shortId).join(', ') || style.bad('none: the account is revoked')],
        ['recovery key', info.recoveryKey === undefined ? 'none' : shortId(info.recoveryKey)],
        ...(info.recovery ? [['recovery', `under way: new keys after ${formatInstant(info.recovery.due)}`] as const] : []),
        ['transactions', String(info.sequence)],
      ],
      style,
      '  ',
    ),
  ].join('\n');
}

async function listAccounts(session: Session): Promise<void> {
  const names = await session.keys.accounts();
  const chosen = await session.accountName().catch(() => undefined);
  const files = await Promise.all(names.map(async (name) => ({ name, file: await session.keys.peek(session.keys.pathOfAccount(name)) })));
  const accounts = files.map(({ name, file }) => ({
    name,
    id: session.keys.accountOf(file!),
    encrypted: file!.encryption !== null,
    default: name === chosen,
  }));
  session.result({ accounts }, () => {
    if (accounts.length === 0) return 'No account on this machine yet. Make one: orb account create NAME';
    const rows = accounts.map((entry) => [entry.default ? '*' : '', entry.name, entry.id, entry.encrypted ? 'encrypted' : 'plain']);
    return renderTable(
      [{ title: '' }, { title: 'name' }, { title: 'id', flexible: true }, { title: 'key' }],
      rows,
      session.terminal.style,
      session.terminal.width,
    );
  });
}

async function useAccount(session: Session, name: string): Promise<void> {
  if (!(await session.keys.peek(session.keys.pathOfAccount(name)))) {
    throw new OrbError('key-store', { message: `The key of ${name} is not on this machine.`, hint: 'See them all: orb account list' });
  }
  await session.changeProfile((profile) => ({ ...profile, account: name }));
  session.result({ account: name }, () => `${session.terminal.style.good('✓')} ${name} is the default account.`);
}

function publicAccount({ availableUnits, earnedUnits, ...rest }: AccountInfo): object {
  return { ...rest, keys: [...rest.keys], availableUnits, earnedUnits };
}
