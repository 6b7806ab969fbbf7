import { join, resolve } from 'node:path';
import { OrbError } from '@orb/protocol';
import type { Command } from 'commander';
import type { Session } from '../session/session.ts';
import { describeNext, describeSummary, summaryJson } from '../up/describe-summary.ts';
import { NetworkProcesses } from '../up/network-processes.ts';
import { runNetwork } from '../up/run-network.ts';
import { UpFolder } from '../up/up-folder.ts';
import { untilStopped } from '../up/until-stopped.ts';
import type { CommandContext } from './command-context.ts';
import { wholeNumber } from './option-values.ts';

interface UpFlags {
  readonly once?: boolean;
  readonly data?: string;
  readonly nodes: number;
  readonly superNodes: number;
  readonly port?: number;
}

/** `orb up`, which is `npm start`. */
export function addUpCommand(program: Command, context: CommandContext): void {
  program
    .command('up')
    .description('start a whole network on this computer: super nodes, nodes, a ledger, a function that answers')
    .option('--once', 'show that everything works, stop, and exit')
    .option('--data <folder>', 'where the network and the keys of its accounts live (default: ORB_HOME/network, its keys in ORB_HOME)')
    .option('--nodes <number>', 'how many nodes to lend', wholeNumber(1, 16), 2)
    .option('--super-nodes <number>', 'how many super nodes to run', wholeNumber(1, 4), 2)
    .option('--port <number>', 'port for callers; the next free one is taken', wholeNumber(1, 65_535))
    .action(async (flags: UpFlags, command: Command) => up(context.session(command), flags));
}

async function up(session: Session, { once, data, nodes, superNodes, port }: UpFlags): Promise<void> {
  const { progress, signal, terminal } = session;
  const folder = await (data === undefined
    ? UpFolder.take(join(session.home, 'network'), { home: session.home })
    : UpFolder.take(resolve(data)));
  const processes = new NetworkProcesses(
    { folder, orb: { command: process.execPath, args: [process.argv[1]!] }, env: childEnv(folder) },
    { progress },
  );
  try {
    const summary = await untilAborted(
      signal,
      processes,
      runNetwork({ nodes, superNodes, ...(port !== undefined && { port }) }, { folder, processes, progress, signal }),
    );
    const text = session.options.json ? '' : await describeSummary(summary, folder, terminal.style);
    const isDefault = folder.home === session.home && (await session.gateway()).split(',').includes(summary.url);
    session.result(summaryJson(summary, folder), () =>
      once ? text : `${text}\n${describeNext(summary, folder, { isDefault }, terminal.style)}`,
    );
    if (!once) await untilBroken(session, processes);
  } catch (error) {
    progress.fail();
    throw error;
  } finally {
    await stop(processes, session);
    await folder.release();
  }
}

/** Ends early when a process is broken for good or the person wants to stop. */
function untilAborted<T>(signal: AbortSignal, processes: NetworkProcesses, work: Promise<T>): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new OrbError('cancelled', { message: 'Stopped before the network was up.' })), {
      once: true,
    });
  });
  const broken = processes.broken.then((error) => {
    throw error;
  });
  // The loser of the race still ends, and nobody waits for it then.
  for (const loser of [work, aborted, broken]) loser.catch(() => undefined);
  return Promise.race([work, aborted, broken]);
}

async function untilBroken({ signal }: Session, processes: NetworkProcesses): Promise<void> {
  const error = await Promise.race([untilStopped(signal), processes.broken]);
  if (error) throw error;
}

async function stop(processes: NetworkProcesses, { progress }: Session): Promise<void> {
  progress.step('Stopping');
  await processes.stop((text) => progress.update(text));
  progress.done('Stopped; everything is kept');
}

/** Secrets of the person's own accounts are nothing to the network's processes. */
function childEnv(folder: UpFolder): NodeJS.ProcessEnv {
  const { ORB_PASSPHRASE: _, ORB_GATEWAY: __, ORB_ACCOUNT: ___, ...env } = process.env;
  return { ...env, ORB_HOME: folder.home, NO_COLOR: '1' };
}
