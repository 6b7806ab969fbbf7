import { InvalidArgumentError, type Command } from 'commander';
import { OrbError, isFunctionName } from '@orb/protocol';
import { nameFromFile } from '../deploy/bundle-source.ts';
import { deployFunction } from '../deploy/deploy-function.ts';
import { FunctionFiles } from '../deploy/function-files.ts';
import { keepToppedUp } from '../deploy/top-up.ts';
import { devLoop, type DevEvent } from '../dev/dev-loop.ts';
import { LogLines, withPlaces } from '../logs/log-lines.ts';
import { readLogs } from '../logs/read-logs.ts';
import { reportError } from '../session/report-error.ts';
import type { Session } from '../session/session.ts';
import { shortId } from '../terminal/format.ts';
import { createProgress } from '../terminal/progress.ts';
import type { CommandContext } from './command-context.ts';
import { secretNames } from './option-values.ts';

interface DevFlags {
  readonly name?: string;
  readonly secrets?: readonly string[];
}

/** `orb dev FILE` */
export function addDevCommand(program: Command, context: CommandContext): void {
  program
    .command('dev')
    .description('deploy a function to this computer’s network at every save, and show what it prints and how it fails')
    .argument('<file>', 'TypeScript or JavaScript source, or a WebAssembly module')
    .option('--name <name>', 'name of the function (default: from the file)', functionName)
    .option(
      '--secrets <names>',
      'names of secrets that its environment holds, with commas between them; none for none (default: as deployed last). Their values: orb secrets put',
      secretNames,
    )
    .action(async (file: string, flags: DevFlags, command: Command) => dev(context.session(command), file, flags));
}

function functionName(text: string): string {
  if (!isFunctionName(text)) throw new InvalidArgumentError('It has 1 to 63 of a–z, 0–9 and single hyphens.');
  return text;
}

async function dev(given: Session, file: string, { name: wanted, secrets }: DevFlags): Promise<void> {
  const session = given.at(await given.localGateway());
  const { signal, terminal, options } = session;
  const name = functionNameOf(wanted ?? nameFromFile(file));
  const { orb, owner, name: ownerName } = await session.orbAs();
  refuseMainNetwork(await orb.network());
  const files = new FunctionFiles({ home: session.home }, { keys: session.keys });
  const progress = createProgress(terminal, true);
  const manifest = secrets ? { secrets: [...secrets] } : {};
  const deploy = () => deployFunction({ source: { file }, name, manifest }, { orb, owner, ownerName, files, progress, signal });
  const path = `${ownerName}/${name}`;
  const report = (error: unknown) => void reportError(error, terminal, { json: false, verbose: false });
  let logs: Promise<void> | undefined;
  let kept: Promise<void> | undefined;
  const onEvent = (event: DevEvent) => {
    showEvent(event, path, session);
    // Without its log the function still answers.
    if (event.type !== 'deployed') return;
    logs ??= showLogs().catch(report);
    kept ??= keepToppedUp(
      [path],
      { everyMs: 5_000 },
      { orb, owner, files, signal, onOpened: () => undefined, onShort: (_, error) => report(error) },
    ).catch(report);
  };
  const places = session.sourcePlaces(path);
  const lines = new LogLines(terminal.style, places);
  const showLogs = async () => {
    const onLost = () => terminal.note(terminal.noteStyle.warn('! The network has gone; the log goes on when it is back.'));
    for await (const entry of readLogs({ path, follow: true, tail: 0 }, { orb, owner, signal, onLost }))
      terminal.print(options.json ? JSON.stringify({ type: 'log', ...withPlaces(entry, places) }) : lines.render(entry));
  };
  await devLoop(file, { deploy, signal, onEvent });
  await Promise.all([logs, kept]);
}

function functionNameOf(name: string): string {
  if (isFunctionName(name)) return name;
  throw new OrbError('invalid-request', {
    message: `${JSON.stringify(name.slice(0, 80))} is not a function name.`,
    hint: 'Choose one with --name: 1 to 63 of a–z, 0–9 and single hyphens.',
  });
}

function refuseMainNetwork({ network, name }: { readonly network: string; readonly name: string }): void {
  if (network === 'test') return;
  throw new OrbError('not-supported', {
    message: `${name} is a network of real money, and every save would be a version on its ledger.`,
    hint: 'Start one of your own for development: orb up (npm start).',
  });
}

function showEvent(event: DevEvent, path: string, { terminal, options }: Session): void {
  if (event.type === 'failed') {
    if (options.json) terminal.print(JSON.stringify({ type: 'failed', error: event.error.toJSON() }));
    else reportError(event.error, terminal, { json: false, verbose: false });
    return;
  }
  const { deployment, ms, isFirst } = event;
  const { version, change, url } = deployment;
  if (options.json) return terminal.print(JSON.stringify({ type: 'deployed', function: path, version, change, url, ms: Math.round(ms) }));
  const { style } = terminal;
  const words = change === 'unchanged' ? 'is deployed, unchanged' : `answers ${style.quiet(`version ${shortId(version)}`)}`;
  terminal.print(`${style.good('✓')} ${style.strong(path)} ${words} ${style.quiet(`after ${Math.round(ms)} ms`)}`);
  if (isFirst) terminal.print(`  ${style.accent(url)}\n${style.quiet('  Save the file to deploy again; Ctrl-C ends.')}`);
}
