import type { Command } from 'commander';
import { Session, type GlobalOptions, type SessionDependencies } from '../session/session.ts';

/** What commands are built with. */
export interface CommandContext {
  /** A session with the options of the command that runs. */
  session(command: Command): Session;
}

export function createCommandContext(dependencies: SessionDependencies): CommandContext {
  return { session: (command) => new Session(command.optsWithGlobals<GlobalOptions>(), dependencies) };
}
