import { Option, type Command } from 'commander';
import { OrbError, formatCredits, stateKeys } from '@orb/protocol';
import type { Orb, Owner } from '@orb/sdk';
import { budgetDefaults, type AllowanceState } from '../deploy/ensure-allowance.ts';
import { FunctionFiles } from '../deploy/function-files.ts';
import { keepToppedUp } from '../deploy/top-up.ts';
import type { Session } from '../session/session.ts';
import { formatInstant, formatMoney, shortId } from '../terminal/format.ts';
import { renderTable } from '../terminal/table.ts';
import type { CommandContext } from './command-context.ts';
import { credits, duration } from './option-values.ts';

interface OpenFlags {
  readonly max: bigint;
  readonly perCall?: bigint;
  readonly for: number;
}

interface KeepFlags {
  readonly every: number;
  readonly once?: boolean;
}

/** `orb allowance …`: what an owner lets a super node spend. */
export function addAllowanceCommands(program: Command, context: CommandContext): void {
  const allowance = program.command('allowance').description('allowances: what you let this super node spend for your functions');
  allowance
    .command('open')
    .description('hold money for calls of a function, or of all your functions')
    .argument('[function]', 'OWNER/NAME; every function you own when left out')
    .addOption(
      new Option('--max <credits>', 'the most that may be spent in all').argParser(credits).default(budgetDefaults.budgetUnits, '10'),
    )
    .option('--per-call <credits>', 'the most that one call may cost (default: the whole allowance)', credits)
    .addOption(
      new Option('--for <time>', 'how long it lives')
        .argParser(duration(60_000, 366 * 86_400_000))
        .default(budgetDefaults.allowanceMs, '30d'),
    )
    .action(async (path: string | undefined, flags: OpenFlags, command: Command) => open(context.session(command), path, flags));
  allowance
    .command('keep')
    .description('keep what is set aside for functions topped up, within their budgets, until Ctrl-C')
    .argument('[functions...]', 'OWNER/NAME; every function you own when left out')
    .addOption(new Option('--every <time>', 'how often to look').argParser(duration(1_000, 86_400_000)).default(15_000, '15s'))
    .option('--once', 'look once and end, for a timer of your own')
    .action(async (paths: string[], flags: KeepFlags, command: Command) => keep(context.session(command), paths, flags));
  allowance
    .command('show')
    .description('your allowances and what is left of them')
    .action(async (_: unknown, command: Command) => show(context.session(command)));
}

async function open(session: Session, path: string | undefined, flags: OpenFlags): Promise<void> {
  const { orb, owner } = await session.orbAs();
  const [{ superNode }, fn] = await Promise.all([orb.network(), path === undefined ? undefined : orb.functions.show(path)]);
  const expiresMs = Date.now() + flags.for;
  const { id, committed } = await orb.allowances.open(owner, {
    superNode: superNode.id,
    functions: fn ? [fn.record.id] : '*',
    maxUnits: flags.max,
    maxPerCallUnits: flags.perCall ?? flags.max,
    expiresMs,
  });
  session.result({ allowance: id, maxUnits: flags.max, expiresMs, transaction: committed.id, height: committed.height }, () => {
    const { style } = session.terminal;
    return `${style.good('✓')} Allowance of ${style.strong(formatMoney(flags.max))} for ${path ?? 'all your functions'} until ${formatInstant(expiresMs)}. ${style.quiet(id)}`;
  });
}

async function keep(session: Session, wanted: readonly string[], { every, once = false }: KeepFlags): Promise<void> {
  const { orb, owner, name } = await session.orbAs();
  const { terminal, options, signal } = session;
  const { style } = terminal;
  const files = new FunctionFiles({ home: session.home }, { keys: session.keys });
  const paths = wanted.length > 0 ? await Promise.all(wanted.map((path) => session.ownPath(path))) : await ownFunctions(orb, owner, name);
  if (paths.length === 0) throw new OrbError('not-found', { message: `${name} has no function.`, hint: 'Deploy one: orb deploy FILE' });
  let anything = false;
  const onOpened = (path: string, opened: readonly AllowanceState[]) => {
    anything = true;
    for (const { id, superNode, openedUnits, leftUnits } of opened) {
      const event = {
        type: 'opened',
        function: path,
        allowance: id,
        superNode,
        openedUnits: String(openedUnits),
        leftUnits: String(leftUnits),
      };
      if (options.json) terminal.print(JSON.stringify(event));
      else terminal.print(`${style.good('✓')} ${path}: set aside ${formatMoney(openedUnits)} more at super node ${shortId(superNode)}`);
    }
  };
  const onShort = (path: string, error: OrbError) => {
    if (options.json) terminal.print(JSON.stringify({ type: 'short', function: path, error: error.toJSON() }));
    else terminal.print(`${style.warn('!')} ${path}: ${error.message}${error.hint === undefined ? '' : ` ${style.quiet(error.hint)}`}`);
  };
  const count = `${paths.length} function${paths.length === 1 ? '' : 's'}`;
  if (options.json) terminal.print(JSON.stringify({ type: 'keeping', functions: paths }));
  else if (!once) terminal.note(terminal.noteStyle.quiet(`Keeping ${count} topped up. Ctrl-C ends.`));
  await keepToppedUp(paths, { everyMs: once ? 0 : every }, { orb, owner, files, signal, onOpened, onShort });
  if (once && !anything && !options.json) terminal.print(`${style.good('✓')} Enough is set aside for ${paths.join(', ')}.`);
}

async function ownFunctions(orb: Orb, { id }: Owner, ownerName: string): Promise<readonly string[]> {
  const paths: string[] = [];
  for await (const { key } of orb.ledger.range(stateKeys.functionName(id, ''))) {
    const name = key.slice(key.lastIndexOf('/') + 1);
    if ((await orb.functions.nameState(id, name)).holder !== undefined) paths.push(`${ownerName}/${name}`);
  }
  return paths;
}

async function show(session: Session): Promise<void> {
  const { orb, owner, name } = await session.orbAs();
  const [allowances, own] = await Promise.all([orb.allowances.list(owner.id), orb.functions.list({ search: name, limit: 1_000 })]);
  const names = new Map(own.map((fn) => [fn.id, `${fn.owner}/${fn.name}`]));
  session.result({ allowances }, () => {
    if (allowances.length === 0) return 'No allowance is open. Open one: orb allowance open OWNER/NAME';
    const rows = allowances.map((entry) => [
      entry.functions === '*' ? 'all' : entry.functions.map((id) => names.get(id) ?? shortId(id)).join(', '),
      shortId(entry.superNode),
      formatCredits(BigInt(entry.left)),
      formatCredits(BigInt(entry.maxUnits)),
      formatCredits(BigInt(entry.maxPerCall)),
      formatInstant(entry.expires),
      entry.id,
    ]);
    rows.sort(([one = ''], [other = '']) => one.localeCompare(other));
    const columns = [
      { title: 'functions' },
      { title: 'super node' },
      { title: 'left', align: 'right' },
      { title: 'of', align: 'right' },
      { title: 'per call', align: 'right' },
      { title: 'until' },
      { title: 'allowance', flexible: true },
    ] as const;
    return renderTable(columns, rows, session.terminal.style, session.terminal.width);
  });
}
