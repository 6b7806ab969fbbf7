import type { Command } from 'commander';
import { OrbError, type ControlAction } from '@orb/protocol';
import { parseFunctionPath, type FunctionInfo, type Orb } from '@orb/sdk';
import { FunctionFiles, type FunctionIdentity } from '../deploy/function-files.ts';
import { SecretsSync } from '../secrets/sync-secrets.ts';
import type { Session } from '../session/session.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { confirm } from '../terminal/confirm.ts';
import { renderTable } from '../terminal/table.ts';
import type { CommandContext } from './command-context.ts';
import { wholeNumber } from './option-values.ts';

/** `orb functions`, and what owners do with the client secret: `orb revert`, `orb stop`, `orb start`, `orb decommission`. */
export function addFunctionCommands(program: Command, context: CommandContext): void {
  program
    .command('functions')
    .description('functions that this network offers')
    .argument('[search]', 'part of an owner’s or a function’s name')
    .option('--limit <number>', 'how many to show', wholeNumber(1, 1_000), 100)
    .action(async (search: string | undefined, flags: { limit: number }, command: Command) =>
      listFunctions(context.session(command), search, flags.limit),
    );
  program
    .command('revert')
    .description('make an earlier version of a function the current one again')
    .argument('<function>', 'OWNER/NAME, or NAME of your own')
    .option(
      '--to <number>',
      'number of the version, 1 for the first (default: the one before the version that answers)',
      wholeNumber(1, 1_000_000_000),
    )
    .action(async (path: string, { to }: { to?: number }, command: Command) => revert(context.session(command), path, to));
  for (const { type, description, done } of switches) {
    program
      .command(type)
      .description(description)
      .argument('<function>', 'OWNER/NAME, or NAME of your own')
      .action(async (path: string, _: unknown, command: Command) => control(context.session(command), path, { type }, done));
  }
  program
    .command('decommission')
    .description('end a function for ever: nodes drop it, its name becomes free')
    .argument('<function>', 'OWNER/NAME, or NAME of your own')
    .option('--yes', 'do not ask')
    .action(async (path: string, flags: { yes?: boolean }, command: Command) =>
      decommission(context.session(command), path, flags.yes === true),
    );
}

const switches = [
  {
    type: 'stop',
    description: 'refuse calls of a function until it is started again',
    done: 'is stopped; calls are refused until it is started',
  },
  { type: 'start', description: 'take calls of a stopped function again', done: 'takes calls again' },
] as const;

async function listFunctions(session: Session, search: string | undefined, limit: number): Promise<void> {
  const functions = await (await session.orb()).functions.list({ limit, ...(search !== undefined && { search }) });
  session.result({ functions }, () => {
    const { style, width } = session.terminal;
    if (functions.length === 0)
      return search === undefined
        ? 'No functions yet. Deploy one: orb deploy FILE'
        : `No function’s name or owner holds ${cleanText(search)}.`;
    const rows = functions.map((fn) => [
      style.strong(cleanText(`${fn.owner}/${fn.name}`)),
      fn.state === 'active' ? style.good(fn.state) : style.warn(fn.state),
      String(fn.versionNumber ?? '–'),
      `${fn.replicas.ready}/${fn.replicas.wanted}`,
      cleanText(fn.url),
    ]);
    return renderTable(
      [
        { title: 'function' },
        { title: 'state' },
        { title: 'version', align: 'right' },
        { title: 'ready', align: 'right' },
        { title: 'call it', flexible: true },
      ],
      rows,
      style,
      width,
    );
  });
}

/** The function and what this machine calls it. @throws OrbError `unknown-function` */
export async function identify(orb: Orb, path: string): Promise<{ readonly identity: FunctionIdentity; readonly info: FunctionInfo }> {
  const { owner, name } = parseFunctionPath(path);
  const info = await orb.functions.show(`${owner}/${name}`);
  const { chain } = await orb.network();
  return { identity: { chain, owner, name, incarnation: info.record.incarnation, id: info.record.id }, info };
}

async function control(session: Session, given: string, action: ControlAction, done: string): Promise<void> {
  const orb = await session.orb();
  const { identity, info } = await identify(orb, await session.ownPath(given));
  if (action.type === 'revert' && action.number > info.record.latest) {
    throw new OrbError('not-found', {
      message: `${identity.owner}/${identity.name} has no version ${action.number}.`,
      hint: `Its latest is ${info.record.latest}.`,
    });
  }
  const files = new FunctionFiles({ home: session.home }, { keys: session.keys });
  const secret = await files.openControl(identity, info.record.controlKey);
  const committed = await orb.functions.control(identity.id, action, secret);
  // The version that runs now may need them, on nodes that have come since.
  if (action.type === 'revert' || action.type === 'start') await new SecretsSync({ orb, files }).sync(identity, info.record);
  session.result(
    { function: `${identity.owner}/${identity.name}`, action: action.type, transaction: committed.id, height: committed.height },
    () => {
      const { style } = session.terminal;
      return `${style.good('✓')} ${style.strong(`${identity.owner}/${identity.name}`)} ${done}. ${style.quiet(`(block ${committed.height})`)}`;
    },
  );
}

async function revert(session: Session, path: string, to: number | undefined): Promise<void> {
  const number = to ?? (await versionBefore(session, path));
  await control(session, path, { type: 'revert', number }, `runs version ${number} again`);
}

/** The number before the version that answers. @throws OrbError `not-found` where there is none, or more than one answers */
async function versionBefore(session: Session, given: string): Promise<number> {
  const { identity, info } = await identify(await session.orb(), await session.ownPath(given));
  const answering = info.record.traffic.filter(([, weight]) => weight > 0).map(([number]) => number);
  if (answering.length === 1 && answering[0]! > 1) return answering[0]! - 1;
  throw new OrbError('not-found', {
    message: `${identity.owner}/${identity.name} has no one version before the one that answers.`,
    hint: `See them: orb versions ${identity.owner}/${identity.name}`,
  });
}

async function decommission(session: Session, path: string, sure: boolean): Promise<void> {
  const { stdin } = session.terminal.streams;
  if (!sure && !stdin.isTTY)
    throw new OrbError('invalid-request', { message: 'Decommissioning is for ever.', hint: 'Say that you mean it: --yes' });
  if (!sure && !(await confirm(session, `End ${path} for ever? Type its name to confirm: `, path)))
    throw new OrbError('cancelled', { message: 'Nothing was changed.' });
  await control(session, path, { type: 'decommission' }, 'is decommissioned; nodes drop it');
}
