import type { Command } from 'commander';
import { asOrbError } from '@orb/protocol';
import type { FunctionInfo } from '@orb/sdk';
import { FunctionFiles, type FunctionIdentity } from '../deploy/function-files.ts';
import { SecretsSync } from '../secrets/sync-secrets.ts';
import type { Session } from '../session/session.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { shortId } from '../terminal/format.ts';
import type { CommandContext } from './command-context.ts';
import { identify } from './function-commands.ts';

interface RotateFlags {
  readonly recoveryKey?: boolean;
  readonly lost?: boolean;
}

/** `orb rotate`: a new client secret for a function, and a new recovery key. */
export function addRotateCommand(program: Command, context: CommandContext): void {
  program
    .command('rotate')
    .description('give a function a new client secret; the old one is worth nothing from then on')
    .argument('<function>', 'OWNER/NAME, or NAME of your own')
    .option('--recovery-key', 'a new recovery key too; the old one must be on this machine')
    .option('--lost', 'the client secret is lost or stolen: sign with the recovery key')
    .action(async (path: string, flags: RotateFlags, command: Command) => rotate(context.session(command), path, flags));
}

/** New keys are on disk before the ledger hears of them, and old ones stay until it has: no crash loses the function. */
async function rotate(session: Session, path: string, { recoveryKey = false, lost = false }: RotateFlags): Promise<void> {
  const orb = await session.orb();
  const { identity, info } = await identify(orb, await session.ownPath(path));
  const { record } = info;
  const files = new FunctionFiles({ home: session.home }, { keys: session.keys });
  const control = await files.nextSecret(identity, 'client-secret');
  const recovery = recoveryKey ? await files.nextSecret(identity, 'recovery') : undefined;
  // An earlier try may have been cut off after the ledger had it.
  if (record.controlKey !== control.publicKey) {
    const oldRecovery = lost || recovery ? await files.openRecovery(identity, record.recoveryKey) : undefined;
    const signers = [...(lost ? [] : [await files.openControl(identity, record.controlKey)]), ...(oldRecovery ? [oldRecovery] : [])];
    const keys = { controlKey: control.publicKey, recoveryKey: recovery?.publicKey ?? record.recoveryKey };
    await orb.functions.rotate(identity.id, keys, signers);
  }
  const kept = [await files.putNextInPlace(identity, 'client-secret'), recovery && (await files.putNextInPlace(identity, 'recovery'))];
  await files.writeDescriptor(identity, orb.url, control);
  await syncSecrets(new SecretsSync({ orb, files }), identity, { ...record, controlKey: control.publicKey }, session);
  const secret = files.secretPath(identity, 'client-secret');
  const fn = `${identity.owner}/${identity.name}`;
  const before = kept.filter((file) => file !== undefined);
  const result = { function: fn, id: identity.id, controlKey: control.publicKey, recoveryKey: recovery?.publicKey ?? record.recoveryKey };
  session.result({ ...result, clientSecret: secret, before }, () => {
    const { style } = session.terminal;
    return [
      `${style.good('✓')} ${style.strong(fn)} has a new client secret ${style.quiet(shortId(control.publicKey))}${recovery ? ' and a new recovery key' : ''}.`,
      style.quiet(`  Back up ${secret}. What was before is worth nothing any more: ${before.join(', ') || 'it is not on this machine'}`),
    ].join('\n');
  });
}

/** Nodes are given the secrets anew, signed by the new client secret. Where they cannot be had, the new key stands all the same. */
async function syncSecrets(
  secrets: SecretsSync,
  identity: FunctionIdentity,
  record: FunctionInfo['record'],
  { terminal }: Session,
): Promise<void> {
  await secrets.sync(identity, record).catch((error: unknown) => {
    const { message, hint = '' } = asOrbError(error);
    terminal.note(`${terminal.noteStyle.warn('!')} The secrets are not handed out anew: ${cleanText(message)} ${cleanText(hint)}`);
  });
}
