import type { Command } from 'commander';
import { LogLines, withPlaces } from '../logs/log-lines.ts';
import { readLogs } from '../logs/read-logs.ts';
import type { Session } from '../session/session.ts';
import type { CommandContext } from './command-context.ts';
import { wholeNumber } from './option-values.ts';

interface LogsFlags {
  readonly follow?: boolean;
  readonly tail: number;
}

/** `orb logs OWNER/NAME` */
export function addLogsCommand(program: Command, context: CommandContext): void {
  program
    .command('logs')
    .description('what your function wrote with console.*, and how it failed; with --json one entry a line')
    .argument('<function>', 'OWNER/NAME, or NAME of your own')
    .option('--follow', 'go on with new lines until Ctrl-C')
    .option('--tail <number>', 'how many of the newest lines to begin with', wholeNumber(0, 1_000), 100)
    .action(async (path: string, flags: LogsFlags, command: Command) => showLogs(context.session(command), path, flags));
}

async function showLogs(session: Session, given: string, { follow = false, tail }: LogsFlags): Promise<void> {
  const { orb, owner } = await session.orbAs();
  const path = await session.ownPath(given);
  const { terminal, signal, options } = session;
  const places = session.sourcePlaces(path);
  const lines = new LogLines(terminal.style, places);
  let isLost = false;
  const onLost = ({ message }: { readonly message: string }) => {
    if (!isLost) terminal.note(terminal.noteStyle.warn(`! ${message} Trying again …`));
    isLost = true;
  };
  for await (const entry of readLogs({ path, follow, tail }, { orb, owner, signal, onLost })) {
    isLost = false;
    terminal.print(options.json ? JSON.stringify(withPlaces(entry, places)) : lines.render(entry));
  }
}
