import { Command } from 'commander';
import { addAccountCommands } from './commands/account-commands.ts';
import { addAllowanceCommands } from './commands/allowance-commands.ts';
import { addCallCommand } from './commands/call-command.ts';
import type { CommandContext } from './commands/command-context.ts';
import { addDeployCommand } from './commands/deploy-command.ts';
import { addFunctionCommands } from './commands/function-commands.ts';
import { addLedgerCommands } from './commands/ledger-commands.ts';
import { addNetworkCommands } from './commands/network-commands.ts';

/** The whole command tree. Building it does nothing but build it: the reference is made from it. */
export function buildProgram(context: CommandContext, version: string): Command {
  const program = new Command('orb')
    .description('Orb: deploy functions, call them, lend a computer – on an open network that proves every job and payment')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .option('--json', 'print results as JSON')
    .option('-v, --verbose', 'say more, on stderr')
    .option('--gateway <url>', 'address of the super node to speak to (environment: ORB_GATEWAY)')
    .option('--account <name>', 'account to act as (environment: ORB_ACCOUNT)')
    .option('--passphrase-file <file>', 'file whose first line opens encrypted keys (environment: ORB_PASSPHRASE)')
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true });
  addAccountCommands(program, context);
  addDeployCommand(program, context);
  addCallCommand(program, context);
  addFunctionCommands(program, context);
  addAllowanceCommands(program, context);
  addLedgerCommands(program, context);
  addNetworkCommands(program, context);
  return program;
}
