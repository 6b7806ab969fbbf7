import { join, resolve } from 'node:path';
import { isHex32, OrbError } from '@orb/protocol';
import type { Registries, Settings } from '@orb/node';
import type { Command } from 'commander';
import { changeNodeRegistry, changeNodeSettings, nodeRegistries, nodeSettingsOf } from '../compose.ts';
import { nodeSettings, parseSettings, unsaid } from '../lending/node-settings.ts';
import type { Session } from '../session/session.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { promptHidden } from '../terminal/hidden-prompt.ts';
import { renderTable } from '../terminal/table.ts';
import type { CommandContext } from './command-context.ts';
import { readInput } from './read-input.ts';

export interface FolderFlags {
  readonly folder?: string;
}

/** Commands for the owner of a node find it by its folder. */
export function withFolder(command: Command): Command {
  return command.option('--folder <folder>', 'the node’s folder (default: ORB_HOME/node)');
}

export function folderOf(session: Session, folder: string | undefined): string {
  return resolve(folder ?? join(session.home, 'node'));
}

/** Names of accounts → their ids, by the network. @throws OrbError `unknown-account` */
export function accountIdOf(session: Session): (name: string) => Promise<string> {
  return async (name) => (isHex32(name) ? name : (await (await session.orb()).accounts.show(name)).id);
}

/** `orb node set`, `show` and `registry`: what the owner of a lent computer decides. */
export function addNodeSettingsCommands(node: Command, context: CommandContext): void {
  withFolder(node.command('set').description('change settings, at once and for later starts: orb node set price 12 hours "22:00-07:00"'))
    .argument('<words...>', 'KEY VALUE, as often as wanted; the value default brings a default back. All keys: orb node show')
    .action(async (words: string[], { folder }: FolderFlags, command: Command) => set(context.session(command), words, folder));
  withFolder(node.command('show').description('the settings of the node on this computer')).action(
    async ({ folder }: FolderFlags, command: Command) => {
      const session = context.session(command);
      const settings = await nodeSettingsOf(folderOf(session, folder));
      session.result(settings, () => describeSettings(settings, session));
    },
  );
  addRegistryCommands(node.command('registry').description('from where images come that not everybody may fetch'), context);
}

async function set(session: Session, words: readonly string[], folder: string | undefined): Promise<void> {
  const change = await parseSettings(words, accountIdOf(session));
  const { settings, running } = await changeNodeSettings(folderOf(session, folder), change);
  session.result(settings, () => {
    const { style } = session.terminal;
    const lines = nodeSettings
      .filter(({ name }) => Object.hasOwn(change, name))
      .map(({ key, name, format }) => `${style.good('✓')} ${key} is ${style.strong(valueOf(settings, name, format))}`);
    return [...lines, ...(running ? [] : [style.quiet('No node is running here: it holds from the next start.')])].join('\n');
  });
}

function valueOf(settings: Settings, name: keyof Settings, format: (value: unknown) => string): string {
  const value = settings[name];
  return value === undefined ? (unsaid[name] ?? 'default') : cleanText(format(value));
}

function describeSettings(settings: Settings, { terminal: { style, width } }: Session): string {
  const rows = nodeSettings.map(({ key, name, meaning, format }) => [
    key,
    style.strong(valueOf(settings, name, format)),
    style.quiet(meaning),
  ]);
  return renderTable([{ title: 'setting' }, { title: 'value', flexible: true }, { title: 'meaning', flexible: true }], rows, style, width);
}

function addRegistryCommands(registry: Command, context: CommandContext): void {
  withFolder(registry.command('add').description('fetch from this registry too: one that asks for a login, or inside your own network'))
    .argument('<host>', 'host and port, such as ghcr.io or registry.example.com:5000')
    .option('--user <name>', 'name to log in with; the password is asked for, or read from standard input')
    .action(async (host: string, { folder, user }: FolderFlags & { user?: string }, command: Command) => {
      const session = context.session(command);
      const login = user === undefined ? null : { username: user, password: await askPassword(session, host) };
      listed(session, await changeNodeRegistry(folderOf(session, folder), host, login));
    });
  withFolder(registry.command('remove').description('forget this registry and its login'))
    .argument('<host>', 'host and port')
    .action(async (host: string, { folder }: FolderFlags, command: Command) => {
      const session = context.session(command);
      listed(session, await changeNodeRegistry(folderOf(session, folder), host, undefined));
    });
  withFolder(registry.command('list').description('the registries on the list')).action(
    async ({ folder }: FolderFlags, command: Command) => {
      const session = context.session(command);
      listed(session, await nodeRegistries(folderOf(session, folder)));
    },
  );
}

/** Never from the command line, which others on this computer can list. */
async function askPassword(session: Session, host: string): Promise<string> {
  const { terminal } = session;
  const { stdin } = terminal.streams;
  if (stdin.isTTY) return promptHidden(terminal, `Password or token for ${cleanText(host)}: `);
  const input = await readInput({}, '-', stdin);
  const [password = ''] = Buffer.from(input ?? [])
    .toString()
    .split(/\r?\n/, 1);
  if (password !== '') return password;
  throw new OrbError('invalid-request', {
    message: 'There is no password on standard input.',
    hint: 'orb node registry add HOST --user NAME < FILE',
  });
}

/** Shows hosts and names; a password is never shown. */
function listed(session: Session, registries: Registries): void {
  const rows = Object.entries(registries).map(([host, login]) => ({ host, user: login?.username ?? null }));
  session.result(rows, () => {
    if (rows.length === 0) return 'No registry is listed.';
    const { style, width } = session.terminal;
    return renderTable(
      [{ title: 'registry' }, { title: 'login', flexible: true }],
      rows.map(({ host, user }) => [cleanText(host), user === null ? style.quiet('none') : cleanText(user)]),
      style,
      width,
    );
  });
}
