import type { Command } from 'commander';
import {
  accountId,
  decidingPeers,
  stateKeys,
  type ChallengeRecord,
  type CreditRecord,
  type FunctionRecord,
  type JobRecord,
  type Parameters,
} from '@orb/protocol';
import type { AccountInfo, JobInfo, Orb } from '@orb/sdk';
import { explainJobOf, type JobExplanation } from '../compose.ts';
import type { Session } from '../session/session.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { formatInstant, formatMoney, shortId } from '../terminal/format.ts';
import type { Style } from '../terminal/style.ts';
import { renderFacts, renderTable } from '../terminal/table.ts';
import type { CommandContext } from './command-context.ts';
import { namesOfJob, type JobNames } from './describe-job.ts';

/** `orb rewards`: what an account earns, and where every unit of a job went. */
export function addRewardsCommands(program: Command, context: CommandContext): void {
  const rewards = program.command('rewards').description('what an account earns by lending, relaying, seeding and deciding');
  rewards
    .command('show', { isDefault: true })
    .description('what the account has earned at each super node, and what waits')
    .argument('[account]', 'name or id; the default account when left out')
    .action(async (name: string | undefined, _: unknown, command: Command) => showRewards(context.session(command), name));
  rewards
    .command('explain')
    .description('where every unit of a job went, and why')
    .argument('<job>', 'job id')
    .action(async (id: string, _: unknown, command: Command) => explain(context.session(command), id));
}

interface Rewards {
  readonly account: AccountInfo;
  readonly earned: readonly {
    readonly superNode: string;
    /** Past the dispute window: the super node sweeps it by itself, or `orb account sweep` does. */
    readonly sweepableUnits: bigint;
    readonly vestingUnits: bigint;
    readonly nextMs: number | null;
  }[];
  /** The account's part of the commission that waits; null unless it is one of the peers that decide. */
  readonly commissionUnits: bigint | null;
  readonly challenges: readonly {
    readonly function: string;
    readonly superNode: string;
    readonly number: number;
    readonly state: 'committed' | 'answered' | 'paid' | 'missed';
    readonly atMs: number;
  }[];
}

async function showRewards(session: Session, name: string | undefined): Promise<void> {
  const orb = await session.orb();
  const account = await orb.accounts.show(name ?? (await session.accountName()));
  const rewards = await rewardsOf(orb, account);
  session.result({ ...rewards, account: { id: account.id, name: account.name, availableUnits: account.availableUnits } }, () =>
    describeRewards(rewards, session),
  );
}

async function rewardsOf(orb: Orb, account: AccountInfo): Promise<Rewards> {
  const now = Date.now();
  const earned = (await orb.accounts.earned(account.id)).map(({ superNode, ...credit }) => ({ superNode, ...sumsOf(credit, now) }));
  const { parameters, genesis } = await orb.network();
  const peers = decidingPeers(parameters, accountId(genesis.treasuryKey));
  const isPeer = peers.includes(account.id);
  return {
    account,
    earned,
    commissionUnits: isPeer ? (await waitingCommission(orb)) / BigInt(peers.length) : null,
    challenges: await challengesOf(orb, account, now),
  };
}

function sumsOf({ vested, vesting }: CreditRecord, now: number) {
  const due = vesting.filter(([when]) => when <= now).reduce((sum, [, units]) => sum + BigInt(units), BigInt(vested));
  const waiting = vesting.filter(([when]) => when > now);
  const vestingUnits = waiting.reduce((sum, [, units]) => sum + BigInt(units), 0n);
  return { sweepableUnits: due, vestingUnits, nextMs: waiting[0]?.[0] ?? null };
}

async function waitingCommission(orb: Orb): Promise<bigint> {
  let sum = 0n;
  for await (const { value } of orb.ledger.range('credit/commission/', 10_000)) {
    const { vested, vesting } = value as unknown as CreditRecord;
    for (const units of [vested, ...vesting.map(([, waiting]) => waiting)]) sum += BigInt(units);
  }
  return sum;
}

/** The last challenge of each function that a node of the account has taken up. */
async function challengesOf(orb: Orb, { id }: AccountInfo, now: number): Promise<Rewards['challenges']> {
  const found: Rewards['challenges'][number][] = [];
  for await (const { key, value } of orb.ledger.range('challenge/', 10_000)) {
    const { number, until, paid, answers, commitments } = value as unknown as ChallengeRecord;
    if (!commitments.some(({ account }) => account === id)) continue;
    const [, superNode, fn] = key.split('/') as [string, string, string];
    const answered = answers.some(({ account }) => account === id);
    const state = answered ? (paid ? 'paid' : 'answered') : now > until ? 'missed' : 'committed';
    const record = (await orb.ledger.get(stateKeys.function(fn))) as unknown as FunctionRecord | undefined;
    const owner = record && (await orb.accounts.show(record.account).catch(() => undefined));
    found.push({ function: owner ? `${owner.name}/${record.name}` : fn, superNode, number, state, atMs: until });
  }
  return found;
}

function describeRewards({ account, earned, commissionUnits, challenges }: Rewards, { terminal: { style, width } }: Session): string {
  const lines = [
    `${style.strong(account.name)} ${style.quiet('can spend')} ${formatMoney(account.availableUnits)}`,
    '',
    earned.length === 0 ? style.quiet('Nothing earned that waits at a super node.') : earnedTable(earned, style, width),
  ];
  if (commissionUnits !== null) lines.push('', `${style.quiet('commission that waits for this peer')}  ${formatMoney(commissionUnits)}`);
  if (challenges.length > 0) {
    const rows = challenges.map(({ function: fn, number, state, atMs }) => [
      cleanText(fn),
      String(number),
      state === 'missed' ? style.bad(state) : state === 'paid' ? style.good(state) : style.warn(state),
      formatInstant(atMs),
    ]);
    const columns = [
      { title: 'seeding of', flexible: true },
      { title: 'challenge', align: 'right' },
      { title: 'state' },
      { title: 'over' },
    ] as const;
    lines.push('', renderTable(columns, rows, style, width));
  }
  return lines.join('\n');
}

function earnedTable(earned: Rewards['earned'], style: Style, width: number): string {
  const rows = earned.map(({ superNode, sweepableUnits, vestingUnits, nextMs }) => [
    shortId(superNode),
    formatMoney(sweepableUnits),
    formatMoney(vestingUnits),
    nextMs === null ? '–' : formatInstant(nextMs),
  ]);
  return renderTable(
    [
      { title: 'earned at super node' },
      { title: 'to be swept', align: 'right' },
      { title: 'not vested yet', align: 'right' },
      { title: 'next part vests' },
    ],
    rows,
    style,
    width,
  );
}

async function explain(session: Session, id: string): Promise<void> {
  const orb = await session.orb();
  const info = await orb.job(id);
  const parameters = (await orb.ledger.get(stateKeys.parameters(info.job.ticket[6]))) as unknown as Parameters;
  const explanation = await explainJobOf(info.job as JobRecord, parameters);
  const names = await namesOfJob(orb, info);
  session.result({ job: id, ...explanation }, () => describeExplanation(info, explanation, names, session));
}

function describeExplanation(
  { job }: JobInfo,
  { state, faultOf, billedMs, memoryMiB, rate, shared, royalty, cost, maxCost, paidFrom, refunded, shares }: JobExplanation,
  names: JobNames,
  { terminal: { style, width } }: Session,
): string {
  const how = memoryMiB === undefined ? '' : ` = ${billedMs} ms × ${memoryMiB} MiB × ${rate}`;
  const facts: [string, string][] = [
    ['ran', how === '' ? `${shared} base units` : `${shared} base units${how}`],
    ...(royalty === '0' ? [] : [['owner’s price', `${royalty} base units`] as [string, string]]),
    ['in all', `${style.strong(cost)} base units (${formatMoney(cost)}), of ${maxCost} that the ticket allowed`],
    [
      'paid from',
      paidFrom === 'bond'
        ? style.warn('the super node’s bond: it gave out more than its allowance')
        : paidFrom === 'nothing'
          ? 'nothing'
          : `the allowance of ${names.account(job.developer)}`,
    ],
    ...(faultOf === null ? [] : [['fault', `the ${faultOf}’s`] as [string, string]]),
    ...(refunded ? [['refunded', style.warn('all of it went back')] as [string, string]] : []),
  ];
  const rows = shares.map(({ reason, account, units, bps, rounding }) => [
    reason,
    cleanText(names.account(account)),
    units,
    bps === undefined ? '–' : `${bps / 100} %`,
    rounding === '0' ? '' : `+${rounding}`,
  ]);
  const columns = [
    { title: 'for' },
    { title: 'to', flexible: true },
    { title: 'base units', align: 'right' },
    { title: 'share', align: 'right' },
    { title: 'rounding', align: 'right' },
  ] as const;
  const table = rows.length === 0 ? style.quiet('  Nobody was paid.') : renderTable(columns, rows, style, width);
  return [`${style.strong('job')} ${job.id}  ${state}`, renderFacts(facts, style, '  '), '', table].join('\n');
}
