import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { CommanderError, type Command } from 'commander';
import { createCommandContext } from './commands/command-context.ts';
import { buildProgram } from './program.ts';
import { exitCodes } from './session/exit-codes.ts';
import { reportError } from './session/report-error.ts';
import type { Style } from './terminal/style.ts';
import { Terminal, type Streams } from './terminal/terminal.ts';
import { version } from './version.ts';

export interface RunOptions {
  /** The words after `orb`. */
  readonly argv: readonly string[];
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Runs one command from its words to its exit code. */
export async function run({ argv, signal }: RunOptions, streams: Streams): Promise<number> {
  const terminal = new Terminal(streams);
  const home = resolve(streams.env['ORB_HOME'] || join(homedir(), '.orb'));
  const program = buildProgram(createCommandContext({ terminal, signal, home }), version);
  prepare(program, terminal);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return terminal.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return exitOfCommander(error);
    if (signal.aborted) return exitCodes.interrupted.code;
    return reportError(error, terminal, { json: argv.includes('--json'), verbose: argv.includes('--verbose') || argv.includes('-v') });
  }
}

/** Commander throws instead of exiting, and writes where we say; subcommands inherit neither by themselves. */
function prepare(command: Command, terminal: Terminal): void {
  const { style, noteStyle } = terminal;
  command.exitOverride().configureOutput({
    writeOut: (text) => void terminal.streams.stdout.write(text),
    writeErr: (text) => void terminal.streams.stderr.write(text),
    outputError: (text, write) => write(usageError(text, noteStyle, command)),
  });
  command.configureHelp({
    showGlobalOptions: true,
    styleTitle: style.strong,
    styleCommandText: style.accent,
    styleOptionText: style.accent,
  });
  for (const child of command.commands) prepare(child, terminal);
}

/** Commander's words in our form: what in one line, what to do next in another. */
function usageError(text: string, style: Style, command: Command): string {
  const [what = '', ...rest] = text
    .replace(/^error: /, '')
    .trim()
    .split('\n');
  const hint = rest.join(' ').replace(/^\((.*)\)$/, '$1') || `See: ${wordsOf(command)} --help`;
  return `${style.bad('✗')} ${what.charAt(0).toUpperCase()}${what.slice(1)}\n  ${style.quiet(hint)}\n`;
}

/** `orb allowance open` */
function wordsOf(command: Command): string {
  return command.parent ? `${wordsOf(command.parent)} ${command.name()}` : command.name();
}

/** Asking for help or the version is no failure; anything else that Commander refuses is the command line's fault. */
function exitOfCommander({ code, exitCode }: CommanderError): number {
  if (exitCode === 0 || code === 'commander.helpDisplayed' || code === 'commander.version') return exitCodes.ok.code;
  return exitCodes.usage.code;
}
