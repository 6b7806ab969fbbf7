import { OrbError, type Manifest } from '@orb/protocol';
import type { FunctionInfo, Orb } from '@orb/sdk';
import { readSecretsFile } from '../secrets/secrets-file.ts';
import { recipientsOf, SecretsSync, type SyncReport } from '../secrets/sync-secrets.ts';
import { cleanText } from '../terminal/clean-text.ts';
import type { Progress } from '../terminal/progress.ts';
import type { FunctionFiles, FunctionIdentity } from './function-files.ts';

interface DeploySecretsDependencies {
  readonly orb: Orb;
  readonly files: FunctionFiles;
}

/**
 * Refuses a version whose secrets have no values, before anything is changed.
 * @throws OrbError `invalid-request` naming each one that is missing
 */
export async function checkSecrets(
  identity: FunctionIdentity,
  { secrets }: Manifest,
  info: FunctionInfo | undefined,
  { orb, files }: DeploySecretsDependencies,
): Promise<void> {
  if (secrets.length === 0) return;
  const path = `${identity.owner}/${identity.name}`;
  const file = await readSecretsFile(files.secretsPath(identity));
  // From a computer without the values, such as one that only builds, those count that were handed out from another.
  const known = file
    ? Object.keys(file.values)
    : info
      ? (await orb.functions.secrets(path, await files.openControl(identity, info.record.controlKey))).names
      : [];
  const missing = secrets.filter((name) => !known.includes(name));
  if (missing.length === 0) return;
  throw new OrbError('invalid-request', {
    message: `${path} needs secrets that have no value yet: ${missing.join(', ')}.`,
    hint: `Put them first: orb secrets put ${path} ${missing[0]}`,
  });
}

/**
 * Hands the secrets of a version out to the nodes that may have them.
 * @returns undefined where it needs none, or their values are on another computer
 * @throws OrbError `no-node-fits` when no node that may have them is online
 */
export async function handOutSecrets(
  identity: FunctionIdentity,
  { secrets }: Manifest,
  { orb, files, progress }: DeploySecretsDependencies & { readonly progress: Progress },
): Promise<SyncReport | undefined> {
  if (secrets.length === 0) return undefined;
  progress.step('Handing out the secrets');
  const path = `${identity.owner}/${identity.name}`;
  const { record } = await orb.functions.show(path);
  const report = await new SecretsSync({ orb, files }).sync(identity, record);
  if (!report) {
    progress.done('The secrets are those that another computer has handed out');
    return undefined;
  }
  for (const { trouble } of report.superNodes)
    if (trouble) progress.note(`Secrets are not at every super node: ${cleanText(trouble.message)}`);
  const nodes = recipientsOf(report).length;
  if (nodes === 0) {
    throw new OrbError('no-node-fits', {
      message: `No node that may have the secrets of ${path} is online.`,
      hint: `The function is on the ledger. Say who may have them: orb secrets sync ${path} --provider NAME. Then deploy again.`,
    });
  }
  progress.done(`Secrets number ${report.number} are sealed for ${nodes} ${nodes === 1 ? 'node' : 'nodes'}`);
  return report;
}
