import { Argument, type Command } from 'commander';
import { commandWords } from '../completion/command-words.ts';
import { completionScript, shells, type Shell } from '../completion/completion-script.ts';
import type { CommandContext } from './command-context.ts';

/** `orb completion SHELL` */
export function addCompletionCommand(program: Command, context: CommandContext): void {
  program
    .command('completion')
    .description('print what your shell needs to complete orb; for bash: source <(orb completion bash)')
    .addArgument(new Argument('<shell>', 'which shell').choices(shells))
    .action((shell: Shell, _: unknown, command: Command) => {
      const session = context.session(command);
      const script = completionScript(shell, commandWords(program));
      session.result({ shell, script }, () => script.trimEnd());
    });
}
