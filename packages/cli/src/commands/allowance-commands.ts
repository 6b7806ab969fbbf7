import { Option, type Command } from 'commander';
import { formatCredits } from '@orb/protocol';
import { budgetDefaults } from '../deploy/ensure-allowance.ts';
import type { Session } from '../session/session.ts';
import { formatInstant, formatMoney } from '../terminal/format.ts';
import { renderTable } from '../terminal/table.ts';
import type { CommandContext } from './command-context.ts';
import { credits, duration } from './option-values.ts';

interface OpenFlags {
  readonly max: bigint;
  readonly perCall?: bigint;
  readonly for: number;
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

async function show(session: Session): Promise<void> {
  const { orb, owner } = await session.orbAs();
  const allowances = await orb.allowances.list(owner.id);
  session.result({ allowances }, () => {
    if (allowances.length === 0) return 'No allowance is open. Open one: orb allowance open OWNER/NAME';
    const rows = allowances.map((entry) => [
      entry.id,
      entry.functions === '*' ? 'all' : String(entry.functions.length),
      formatCredits(BigInt(entry.left)),
      formatCredits(BigInt(entry.maxUnits)),
      formatCredits(BigInt(entry.maxPerCall)),
      formatInstant(entry.expires),
    ]);
    const columns = [
      { title: 'allowance', flexible: true },
      { title: 'functions', align: 'right' },
      { title: 'left', align: 'right' },
      { title: 'of', align: 'right' },
      { title: 'per call', align: 'right' },
      { title: 'until' },
    ] as const;
    return renderTable(columns, rows, session.terminal.style, session.terminal.width);
  });
}
