import type { Command } from 'commander';
import { OrbError, type Hex32, type Signer } from '@orb/protocol';
import type { AccountInfo } from '@orb/sdk';
import type { Session } from '../session/session.ts';
import { confirm } from '../terminal/confirm.ts';
import { formatInstant, shortId } from '../terminal/format.ts';
import type { CommandContext } from './command-context.ts';

const nameArgument = ['[name]', 'account name; the default account when left out'] as const;

/** What an account’s owner does with its keys: `orb account rotate`, `recovery-key`, `recover`, `cancel-recovery`, `finish-recovery`, `revoke`. */
export function addAccountKeyCommands(account: Command, context: CommandContext): void {
  account
    .command('rotate')
    .description('give the account a new key; the old one is worth nothing from then on')
    .argument(...nameArgument)
    .option('--alone', 'the new key is the only one: keys on other machines end too')
    .action(async (name: string | undefined, { alone = false }: { alone?: boolean }, command: Command) =>
      rotate(context.session(command), name, alone),
    );
  account
    .command('recovery-key')
    .description('give the account a recovery key: with it alone the account can be had back. Keep its file elsewhere')
    .argument(...nameArgument)
    .action(async (name: string | undefined, _: unknown, command: Command) => setRecoveryKey(context.session(command), name));
  account
    .command('recover')
    .description('ask for a new key with the recovery key; it is in force when the delay is over and nobody has cancelled')
    .argument('<name>', 'name of the account')
    .action(async (name: string, _: unknown, command: Command) => recover(context.session(command), name));
  account
    .command('cancel-recovery')
    .description('say no to a recovery that is under way, with a key of the account')
    .argument(...nameArgument)
    .action(async (name: string | undefined, _: unknown, command: Command) => cancelRecovery(context.session(command), name));
  account
    .command('finish-recovery')
    .description('take the new key into use once the delay is over')
    .argument('<name>', 'name of the account')
    .action(async (name: string, _: unknown, command: Command) => finishRecovery(context.session(command), name));
  account
    .command('revoke')
    .description('end all keys of the account at once, as after a theft; only the recovery key gets it back')
    .argument(...nameArgument)
    .option('--yes', 'do not ask')
    .action(async (name: string | undefined, { yes = false }: { yes?: boolean }, command: Command) =>
      revoke(context.session(command), name, yes),
    );
}

const labelOf = (name: string, account: Hex32) => ({ purpose: 'account', name, account }) as const;

/** The new key is on disk before the ledger hears of it, and the old one stays until the ledger has: no crash loses the account. */
async function rotate(session: Session, wanted: string | undefined, alone: boolean): Promise<void> {
  const { orb, owner, name } = await session.orbAs(wanted);
  const path = session.keys.pathOfAccount(name);
  const info = await orb.accounts.show(owner.id);
  const next = await session.keys.openOrCreateNext(path, labelOf(name, owner.id));
  if (!info.keys.includes(next.publicKey)) {
    const others = info.keys.filter((key) => key !== owner.signer.publicKey);
    const keys = alone ? [next.publicKey] : [...others, next.publicKey];
    await orb.accounts.rotate(owner.id, { keys, recoveryKey: info.recoveryKey ?? null }, [owner.signer, next]);
  }
  const kept = await session.keys.putNextInPlace(path);
  const { keys } = await orb.accounts.show(owner.id);
  session.result({ account: owner.id, name, key: next.publicKey, keys, keyFile: path, before: kept ?? null }, () => {
    const { style } = session.terminal;
    return [
      `${style.good('✓')} ${style.strong(name)} signs with a new key ${style.quiet(shortId(next.publicKey))}; the account is the same.`,
      style.quiet(`  Back up ${path}. The key from before is worth nothing any more${kept === undefined ? '.' : `: ${kept}`}`),
    ].join('\n');
  });
}

async function setRecoveryKey(session: Session, wanted: string | undefined): Promise<void> {
  const { orb, owner, name } = await session.orbAs(wanted);
  const { keys } = session;
  const path = keys.pathOfRecovery(name);
  const label = { purpose: 'recovery', name, account: owner.id } as const;
  const info = await orb.accounts.show(owner.id);
  const next = await keys.openOrCreateNext(path, label);
  if (info.recoveryKey !== next.publicKey) {
    const before = info.recoveryKey === undefined ? undefined : await keys.open(path, label);
    if (info.recoveryKey !== undefined && before?.publicKey !== info.recoveryKey) throw recoveryKeyMissing(name, path);
    const signers: Signer[] = [owner.signer, ...(before ? [before] : [])];
    await orb.accounts.rotate(owner.id, { keys: info.keys, recoveryKey: next.publicKey }, signers);
  }
  const kept = await keys.putNextInPlace(path);
  session.result({ account: owner.id, name, recoveryKey: next.publicKey, keyFile: path, before: kept ?? null }, () => {
    const { style } = session.terminal;
    return [
      `${style.good('✓')} ${style.strong(name)} has a recovery key ${style.quiet(shortId(next.publicKey))}.`,
      `  It is in ${path}. ${style.warn('Move it to another place')}: whoever has it can take the account, unless you say no in time.`,
    ].join('\n');
  });
}

async function recover(session: Session, name: string): Promise<void> {
  const orb = await session.orb();
  const info = await orb.accounts.show(name);
  const { keys } = session;
  const path = keys.pathOfRecovery(name);
  const recovery = await keys.open(path, { purpose: 'recovery', name });
  if (!recovery || recovery.publicKey !== info.recoveryKey) throw recoveryKeyMissing(name, path);
  const next = await keys.openOrCreateNext(keys.pathOfAccount(name), labelOf(name, info.id));
  if (!info.recovery?.keys.includes(next.publicKey)) await orb.accounts.recover(info.id, [next.publicKey], recovery);
  const { recovery: pending } = await orb.accounts.show(info.id);
  session.result({ account: info.id, name, key: next.publicKey, due: pending?.due ?? null }, () => {
    const { style } = session.terminal;
    return [
      `${style.good('✓')} A new key for ${style.strong(name)} is asked for; it is in force after ${formatInstant(pending?.due ?? 0)}, unless somebody with a key of the account says no.`,
      style.quiet(`  Then: orb account finish-recovery ${name}`),
    ].join('\n');
  });
}

async function cancelRecovery(session: Session, wanted: string | undefined): Promise<void> {
  const { orb, owner, name } = await session.orbAs(wanted);
  const { height } = await orb.accounts.cancelRecovery(owner);
  session.result({ account: owner.id, name, cancelled: true, height }, () => {
    const { style } = session.terminal;
    return [
      `${style.good('✓')} The recovery of ${style.strong(name)} is void.`,
      style.warn(
        '  Was it not yours? Somebody has the recovery key: it can ask again. Revoke and recover with it first, or move your money.',
      ),
    ].join('\n');
  });
}

async function finishRecovery(session: Session, name: string): Promise<void> {
  const orb = await session.orb();
  const path = session.keys.pathOfAccount(name);
  const next = await session.keys.peekNext(path);
  let info = await orb.accounts.show(name);
  if (info.recovery) {
    await orb.accounts.finishRecovery(info.id);
    info = await orb.accounts.show(info.id);
  }
  const isOurs = next !== undefined && info.keys.includes(next);
  if (isOurs) await session.keys.putNextInPlace(path);
  else if (next === undefined) throw notRecovered(name);
  session.result({ account: info.id, name, keys: info.keys, keyFile: isOurs ? path : null }, () =>
    describeRecovered(info, isOurs, session),
  );
}

function describeRecovered({ name }: AccountInfo, isOurs: boolean, { terminal: { style } }: Session): string {
  return isOurs
    ? `${style.good('✓')} ${style.strong(name)} is yours again, with the new key on this machine.`
    : `${style.warn('!')} The keys of ${style.strong(name)} are others than the one made on this machine: somebody has cancelled, or recovered elsewhere.`;
}

async function revoke(session: Session, wanted: string | undefined, sure: boolean): Promise<void> {
  const { orb, owner, name } = await session.orbAs(wanted);
  const info = await orb.accounts.show(owner.id);
  const forEver = info.recoveryKey === undefined;
  const what = forEver
    ? 'It has no recovery key: nobody can ever sign for it again, and its money is lost.'
    : 'Only its recovery key gets it back.';
  if (!sure && !session.terminal.streams.stdin.isTTY)
    throw new OrbError('invalid-request', { message: `This ends every key of ${name}. ${what}`, hint: 'Say that you mean it: --yes' });
  if (!sure && !(await confirm(session, `End every key of ${name}? ${what} Type its name to confirm: `, name)))
    throw new OrbError('cancelled', { message: 'Nothing was changed.' });
  const { height } = await orb.accounts.rotate(owner.id, { keys: [], recoveryKey: info.recoveryKey ?? null }, [owner.signer]);
  session.result({ account: owner.id, name, revoked: true, recoverable: !forEver, height }, () => {
    const { style } = session.terminal;
    return `${style.good('✓')} ${style.strong(name)} is revoked. ${forEver ? style.bad(what) : `Get it back: orb account recover ${name}`}`;
  });
}

function recoveryKeyMissing(name: string, path: string): OrbError {
  return new OrbError('key-store', {
    message: `The recovery key of ${name} is not at ${path}.`,
    hint: 'Copy it there from where you keep it. Without one: orb account recovery-key, with a key of the account.',
  });
}

function notRecovered(name: string): OrbError {
  return new OrbError('not-found', {
    message: `No recovery of ${name} has been started on this machine.`,
    hint: `Start one with the recovery key: orb account recover ${name}`,
  });
}
