import { readFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import { OrbError, hex32, isolationTiers, limits, secretName, type IsolationTier } from '@orb/protocol';
import { describeSecrets, secretsJson } from '../secrets/describe-secrets.ts';
import { SecretsDesk, type RecipientsChange } from '../secrets/secrets-desk.ts';
import type { Session } from '../session/session.ts';
import { promptHidden } from '../terminal/hidden-prompt.ts';
import type { CommandContext } from './command-context.ts';
import { accountIdOf } from './node-settings-commands.ts';
import { readInput } from './read-input.ts';

interface RecipientFlags {
  readonly node?: string;
  readonly provider?: string;
  readonly isolation?: IsolationTier | 'any';
}

/** `orb secrets put`, `list`, `remove`, `sync` */
export function addSecretsCommands(program: Command, context: CommandContext): void {
  const secrets = program.command('secrets').description('secrets of a function: values that only the nodes you list can open');
  withRecipients(secrets.command('put').description('set a secret, and hand all of them out under a new number'))
    .argument('<function>', 'OWNER/NAME, or NAME of your own; it need not be deployed yet')
    .argument('<name>', 'name of the secret, in capitals: API_KEY')
    .option('--file <file>', 'read the value from a file, as it is (default: asked for, or read from standard input)')
    .action(async (path: string, name: string, flags: RecipientFlags & { file?: string }, command: Command) =>
      put(context.session(command), path, name, flags),
    );
  secrets
    .command('list')
    .description('names, number, who may have them and which nodes hold them now; never a value')
    .argument('<function>', 'OWNER/NAME, or NAME of your own')
    .action(async (path: string, _: unknown, command: Command) => {
      const session = context.session(command);
      show(session, await new SecretsDesk(session).list(path));
    });
  secrets
    .command('remove')
    .description('take a secret away, and hand the others out under a new number')
    .argument('<function>', 'OWNER/NAME, or NAME of your own')
    .argument('<name>', 'name of the secret')
    .option('--yes', 'also where the version that runs now needs it')
    .action(async (path: string, name: string, { yes = false }: { yes?: boolean }, command: Command) => {
      const session = context.session(command);
      show(session, await new SecretsDesk(session).remove(path, checkName(name), yes));
    });
  withRecipients(
    secrets.command('sync').description('hand the secrets out to nodes that may have them and do not hold them yet; or change who may'),
  )
    .argument('<function>', 'OWNER/NAME, or NAME of your own')
    .action(async (path: string, flags: RecipientFlags, command: Command) => {
      const session = context.session(command);
      show(session, await new SecretsDesk(session).sync(path, await recipientsChange(session, flags)));
    });
}

function withRecipients(command: Command): Command {
  return command
    .option('--node <ids>', 'nodes that may have them, by id, with commas between them; none for none. Replaces those of before')
    .option(
      '--provider <names>',
      'accounts whose nodes may have them, with commas between them; none for none (default: your own account). Replaces those of before',
    )
    .addOption(
      new Option(
        '--isolation <tier>',
        'of those only nodes that say they isolate at least so; with no node and no provider listed: every node that says so. any takes it back',
      ).choices([...isolationTiers, 'any']),
    );
}

async function put(session: Session, path: string, name: string, flags: RecipientFlags & { file?: string }): Promise<void> {
  checkName(name);
  const [value, recipients] = [await readValue(session, name, flags.file), await recipientsChange(session, flags)];
  show(session, await new SecretsDesk(session).put(path, name, value, recipients));
}

/** What a mistyped name was may be a value: it is not repeated. */
function checkName(name: string): string {
  if (secretName.safeParse(name).success) return name;
  throw new OrbError('invalid-request', {
    message: 'That is not the name of a secret.',
    hint: 'A name has 1 to 64 of A–Z, 0–9 and _, and does not begin with a digit or ORB_. The value is asked for, or read from standard input: orb secrets put FUNCTION NAME < FILE',
  });
}

async function readValue({ terminal }: Session, name: string, file: string | undefined): Promise<string> {
  if (file !== undefined && file !== '-')
    return textOf(await readFile(file).catch((cause: NodeJS.ErrnoException) => unreadable(file, cause)));
  if (terminal.streams.stdin.isTTY && file === undefined) return promptHidden(terminal, `Value of ${name}: `, limits.secretBytes + 1);
  const value = textOf((await readInput({}, '-', terminal.streams.stdin)) ?? new Uint8Array());
  // echo and editors end a line; few values do.
  const line = value.replace(/\r?\n$/, '');
  if (line !== '') return line;
  throw new OrbError('invalid-request', {
    message: `Standard input held no value for ${name}.`,
    hint: `Give it one: orb secrets put FUNCTION ${name} < FILE. A value that is empty comes from an empty file: --file FILE.`,
  });
}

function unreadable(file: string, cause: NodeJS.ErrnoException): never {
  throw new OrbError('invalid-request', { message: `${file} cannot be read (${cause.code}).` });
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new OrbError('invalid-request', { message: 'The value is not UTF-8 text.', hint: 'Encode bytes first, as base64 for example.' });
  }
}

async function recipientsChange(session: Session, { node, provider, isolation }: RecipientFlags): Promise<RecipientsChange> {
  const idOf = accountIdOf(session);
  return {
    ...(node !== undefined && { nodes: listed(node).map(checkNodeId) }),
    ...(provider !== undefined && {
      accounts: await Promise.all(listed(provider).map(async (name) => ({ name, id: await idOf(name) }))),
    }),
    ...(isolation !== undefined && { isolation: isolation === 'any' ? null : isolation }),
  };
}

function listed(text: string): string[] {
  return text === 'none' ? [] : [...new Set(text.split(',').map((part) => part.trim()))];
}

function checkNodeId(id: string): string {
  if (hex32.safeParse(id).success) return id;
  throw new OrbError('invalid-request', {
    message: `${JSON.stringify(id.slice(0, 80))} is not the id of a node.`,
    hint: 'orb nodes --json lists them.',
  });
}

function show(session: Session, changed: Awaited<ReturnType<SecretsDesk['list']>>): void {
  session.result(secretsJson(changed), () => describeSecrets(changed, session.terminal));
}
