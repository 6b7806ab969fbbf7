import { writeFileSync } from 'node:fs';
import { Help, type Command } from 'commander';
import { createCommandContext } from '../src/commands/command-context.ts';
import { buildProgram } from '../src/program.ts';
import { exitCodes } from '../src/session/exit-codes.ts';
import { Terminal } from '../src/terminal/terminal.ts';

const environment: readonly (readonly [string, string])[] = [
  ['`ORB_HOME`', 'folder of keys, profile and descriptors; default `~/.orb`'],
  ['`ORB_GATEWAY`', 'address of the super node, as `--gateway`'],
  ['`ORB_ACCOUNT`', 'account to act as, as `--account`'],
  ['`ORB_REGISTRY_LOGIN`', '`NAME:PASSWORD` with which `orb deploy --image` reads a private registry'],
  ['`ORB_PASSPHRASE`', 'passphrase of encrypted keys; `--passphrase-file` goes before it'],
  ['`NO_COLOR`, `FORCE_COLOR`', 'colour never, colour also in pipes'],
];

const files: readonly (readonly [string, string])[] = [
  ['`config.json`', 'gateway, default account, and the chain found at each gateway; no secrets'],
  ['`keys/NAME.json`', 'an account’s key (0600); back it up'],
  ['`keys/NAME.recovery.json`', 'an account’s recovery key (0600); keep it elsewhere'],
  ['`….next.json`, `….was-KEY.json`', 'beside a key: the one that takes its place once the ledger has it, and the one from before'],
  ['`functions/OWNER/NAME.json`', 'the signed descriptor of a function; may be given to anybody'],
  ['`functions/OWNER/NAME.CHAIN-N.client-secret.json`', 'the key that changes the function (0600); back it up'],
  ['`functions/OWNER/NAME.CHAIN-N.recovery.json`', 'the key that replaces a lost client secret (0600); back it up elsewhere'],
  ['`functions/OWNER/NAME.CHAIN-N.secrets.json`', 'values of secrets, sealed to the client secret (0600), and who may have them'],
  ['`node/`', 'the key, code and receipts of this computer’s node'],
];

/** The text of docs/reference/cli.md. */
export function cliReference(): string {
  const program = buildProgram(noContext(), '');
  const help = new Help();
  return (
    [
      '# The `orb` command',
      '',
      'Made from the command tree by `packages/cli/reference/cli-reference.ts`; a test sees that it is up to date. Results go to stdout, everything for the person watching to stderr. With `--json` every result is one JSON value; amounts in it are base units as decimal strings (one credit is 10⁹), and an error is `{"error": {…}, "exitCode"}` on stderr.',
      '',
      '## Options of every command',
      '',
      ...optionTable(program, help),
      '## Commands',
      '',
      ...leaves(program).flatMap((command) => describeCommand(command, help)),
      '## Exit codes',
      '',
      ...table(
        ['code', 'when'],
        Object.values(exitCodes).map(({ code, when }) => [String(code), when]),
      ),
      '## Environment',
      '',
      ...table(['variable', 'meaning'], environment),
      '## Files under `ORB_HOME`',
      '',
      ...table(['file', 'what it is'], files),
    ]
      .join('\n')
      .trimEnd() + '\n'
  );
}

/** Nothing runs when the tree is only read. */
function noContext() {
  const { stdin, stdout, stderr } = process;
  return createCommandContext({
    terminal: new Terminal({ stdin, stdout, stderr, env: {} }),
    signal: new AbortController().signal,
    home: '/',
  });
}

/** Commands that do something: those without subcommands, and those that take arguments beside them. */
function leaves(command: Command): readonly Command[] {
  return command.commands.flatMap((child) => {
    if (child.commands.length === 0) return [child];
    return child.registeredArguments.length > 0 ? [child, ...leaves(child)] : leaves(child);
  });
}

function describeCommand(command: Command, help: Help): readonly string[] {
  const description = command.description();
  const args = help.visibleArguments(command).map((argument) => [`\`${argument.name()}\``, help.argumentDescription(argument)]);
  return [
    `### \`${usageOf(command)}\``,
    '',
    `${description.charAt(0).toUpperCase()}${description.slice(1)}.`,
    '',
    ...(args.length > 0 ? table(['argument', 'meaning'], args) : []),
    ...optionTable(command, help),
  ];
}

/** `orb account create [options] <name>` */
function usageOf(command: Command): string {
  const names: string[] = [];
  for (let at: Command | null = command; at; at = at.parent) names.unshift(at.name());
  return `${names.join(' ')} ${command.usage()}`.trim();
}

function optionTable(command: Command, help: Help): readonly string[] {
  const rows = help
    .visibleOptions(command)
    .filter(({ long }) => long !== '--help')
    .map((option) => [`\`${option.flags}\``, help.optionDescription(option)]);
  return rows.length > 0 ? table(['option', 'meaning'], rows) : [];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line), ''];
}

if (import.meta.main) writeFileSync(new URL('../../../docs/reference/cli.md', import.meta.url), cliReference());
