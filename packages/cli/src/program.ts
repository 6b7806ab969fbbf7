import { Command } from 'commander';
import { addAccountCommands } from './commands/account-commands.ts';
import { addAllowanceCommands } from './commands/allowance-commands.ts';
import { addCallCommand } from './commands/call-command.ts';
import type { CommandContext } from './commands/command-context.ts';
import { addDeployCommand } from './commands/deploy-command.ts';
import { addCompletionCommand } from './commands/completion-command.ts';
import { addDevCommand } from './commands/dev-command.ts';
import { addDoctorCommand } from './commands/doctor-command.ts';
import { addFunctionCommands } from './commands/function-commands.ts';
import { addInitCommand } from './commands/init-command.ts';
import { addLedgerCommands } from './commands/ledger-commands.ts';
import { addLogsCommand } from './commands/logs-command.ts';
import { addNetworkCommands } from './commands/network-commands.ts';
import { addNodeCommands } from './commands/node-commands.ts';
import { addRewardsCommands } from './commands/rewards-commands.ts';
import { addRotateCommand } from './commands/rotate-command.ts';
import { addSecretsCommands } from './commands/secrets-commands.ts';
import { addSupernodeCommands } from './commands/supernode-commands.ts';
import { addTokenCommands } from './commands/token-commands.ts';
import { addTreasuryCommands } from './commands/treasury-commands.ts';
import { addUpCommand } from './commands/up-command.ts';
import { addVersionCommands } from './commands/version-commands.ts';

/** The whole command tree. Building it does nothing but build it: the reference is made from it. */
export function buildProgram(context: CommandContext, version: string): Command {
  const program = new Command('orb')
    .description('Orb: deploy functions, call them, lend a computer – on an open network that proves every job and payment')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .option('--json', 'print results as JSON')
    .option('-v, --verbose', 'say more, on stderr')
    .option('--gateway <url>', 'address of the super node to speak to, or of several with commas between them (environment: ORB_GATEWAY)')
    .option('--account <name>', 'account to act as (environment: ORB_ACCOUNT)')
    .option('--passphrase-file <file>', 'file whose first line opens encrypted keys (environment: ORB_PASSPHRASE)')
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true });
  program.commandsGroup('Start here:');
  addUpCommand(program, context);
  addInitCommand(program, context);
  addDevCommand(program, context);
  program.commandsGroup('Functions:');
  addDeployCommand(program, context);
  addCallCommand(program, context);
  addLogsCommand(program, context);
  addFunctionCommands(program, context);
  addVersionCommands(program, context);
  addSecretsCommands(program, context);
  addRotateCommand(program, context);
  program.commandsGroup('Accounts and money:');
  addAccountCommands(program, context);
  addAllowanceCommands(program, context);
  addRewardsCommands(program, context);
  addTokenCommands(program, context);
  addTreasuryCommands(program, context);
  program.commandsGroup('Look and check:');
  addNetworkCommands(program, context);
  addLedgerCommands(program, context);
  addDoctorCommand(program, context);
  addCompletionCommand(program, context);
  program.commandsGroup('Run the network:');
  addNodeCommands(program, context);
  addSupernodeCommands(program, context);
  return program;
}
