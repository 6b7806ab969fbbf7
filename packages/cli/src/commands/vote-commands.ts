import { InvalidArgumentError, Option, type Command } from 'commander';
import {
  OrbError,
  accountId,
  canonical,
  decidingPeers,
  parameterDefaults,
  parametersSchema,
  parseWith,
  quorumOf,
  sha256,
  stateKeys,
  type AccountId,
  type Json,
  type Parameters,
  type VoteRecord,
  type VoteSubject,
} from '@orb/protocol';
import type { Orb } from '@orb/sdk';
import type { Session } from '../session/session.ts';
import { treasuryOf } from '../session/treasury.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { formatMoney, formatUs, shortId } from '../terminal/format.ts';
import { renderFacts } from '../terminal/table.ts';
import type { CommandContext } from './command-context.ts';

interface VoteFlags {
  readonly peers?: string;
  readonly set?: readonly (readonly [name: string, value: string])[];
  readonly dispute?: string;
  readonly pay?: boolean;
  readonly refund?: string;
  readonly treasury?: string;
}

/** Rules and prices without the height from which they hold: what is voted for. */
type Proposal = Omit<Parameters, 'fromHeight'>;

/** `orb ledger parameters`, `orb ledger vote`: the network's rules and prices, and how they change. */
export function addVoteCommands(ledger: Command, context: CommandContext): void {
  ledger
    .command('parameters')
    .description('the rules and prices in force, who decides about them, and what is being voted on')
    .action(async (_: unknown, command: Command) => showParameters(context.session(command)));
  ledger
    .command('vote')
    .description('vote for the next rules and prices, on a dispute, or for a refund; the same command of enough peers does it')
    .option('--peers <names>', 'the accounts that decide and co-sign from then on, with commas between them; none: the treasury alone')
    .option('--set <name=value>', 'a rule or price, such as graceMs=60000 or split.relayBps=500; may be given again', setting, [])
    .addOption(
      new Option('--dispute <job>', 'end the dispute about a job: it expires unpaid, or is paid with --pay').conflicts([
        'peers',
        'set',
        'refund',
      ]),
    )
    .option('--pay', 'with --dispute: pay the node')
    .addOption(new Option('--refund <job>', 'take the payment of a job back, inside its dispute window').conflicts(['peers', 'set']))
    .option('--treasury <folder>', 'vote as the treasury, whose key is in this super node’s folder (default: as --account)')
    .action(async (flags: VoteFlags, command: Command) => vote(context.session(command), flags));
}

function setting(text: string, before: VoteFlags['set']): VoteFlags['set'] {
  const [, name, value] = /^([a-zA-Z]+(?:\.[a-zA-Z]+)?)=(\d{1,40})$/.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError('It must be NAME=NUMBER, such as graceMs=60000.');
  return [...(before ?? []), [name, value!]];
}

async function showParameters(session: Session): Promise<void> {
  const orb = await session.orb();
  const { parameters, genesis } = await orb.network();
  const treasury = accountId(genesis.treasuryKey);
  const deciding = decidingPeers(parameters, treasury);
  const needed = quorumOf(deciding.length);
  const votes = await votesUnderWay(orb);
  const named = votes.flatMap(({ subject, accounts }) => [...accounts, ...proposedPeers(subject)]);
  const names = await namesOf(orb, [...deciding, ...named]);
  session.result({ parameters, deciding: { peers: deciding, needed }, votes }, () => {
    const { style } = session.terminal;
    const lines = [
      style.strong(`rules and prices, version ${parameters.version}`) + style.quiet(`  in force since block ${parameters.fromHeight}`),
      renderFacts(
        [...describe(parameters), ['decided by', `${deciding.map((id) => names.get(id)).join(', ')} (${needed} of ${deciding.length})`]],
        style,
        '  ',
      ),
    ];
    for (const { subject, accounts } of votes) {
      lines.push(`\n${style.strong('voted for')}  ${accounts.map((id) => names.get(id)).join(', ')} ${style.quiet(`(${needed} needed)`)}`);
      lines.push(subject.type === 'parameters' ? changesOf(parameters, subject.parameters, names) : `  ${wordsOf(subject)}`);
    }
    return lines.join('\n');
  });
}

async function vote(session: Session, flags: VoteFlags): Promise<void> {
  const { orb, owner, name } = flags.treasury === undefined ? await session.orbAs() : await treasuryOf(session, flags.treasury);
  const { parameters, genesis } = await orb.network();
  const subject = await subjectOf(orb, parameters, flags);
  const { height } = await orb.ledger.sendAs(owner.id, 'peer.vote', { account: owner.id, subject }, [owner.signer]);
  const record = (await orb.ledger.get(stateKeys.vote(sha256(canonical(subject as unknown as Json))))) as VoteRecord | undefined;
  const deciding = decidingPeers(parameters, accountId(genesis.treasuryKey));
  const needed = quorumOf(deciding.length);
  const voted = record?.accounts.length ?? needed;
  const names = await namesOf(orb, [...(parameters.peers ?? []), ...proposedPeers(subject)]);
  session.result({ subject, account: owner.id, voted, needed, decided: record === undefined, height }, () => {
    const { style } = session.terminal;
    const decided = subject.type === 'parameters' ? `decided, in force from block ${height + 1}` : 'decided and done';
    const outcome = record ? `${voted} of the ${needed} votes that it needs` : decided;
    const changes = subject.type === 'parameters' ? `\n${changesOf(parameters, subject.parameters, names)}` : '';
    return `${style.good('✓')} ${name} has voted for ${wordsOf(subject)}: ${outcome}.${changes}`;
  });
}

async function subjectOf(orb: Orb, parameters: Parameters, flags: VoteFlags): Promise<VoteSubject> {
  const { dispute, pay = false, refund } = flags;
  if (pay && dispute === undefined) throw new OrbError('invalid-request', { message: '--pay belongs to --dispute JOB.' });
  if (dispute !== undefined) return { type: 'dispute', superNode: (await orb.job(dispute)).job.superNode, job: dispute, pay };
  if (refund !== undefined) {
    const { superNode } = (await orb.job(refund)).job;
    const { settlement, row, proof } = await orb.jobClosed(refund);
    return { type: 'refund', superNode, settlement, job: refund, row, proof };
  }
  return { type: 'parameters', parameters: await propose(orb, parameters, flags) };
}

function proposedPeers(subject: VoteSubject): readonly AccountId[] {
  return subject.type === 'parameters' ? (subject.parameters.peers ?? []) : [];
}

/** What is voted for, in words. */
function wordsOf(subject: VoteSubject): string {
  if (subject.type === 'parameters') return `version ${subject.parameters.version} of the rules and prices`;
  if (subject.type === 'refund') return `the refund of job ${subject.job}`;
  return subject.pay ? `paying job ${subject.job}` : `leaving job ${subject.job} unpaid`;
}

/** The next version. Whoever gives the same flags proposes the same, so votes of different people add up. */
async function propose(orb: Orb, { fromHeight: _, ...current }: Parameters, { peers, set = [] }: VoteFlags): Promise<Proposal> {
  if (peers === undefined && set.length === 0) {
    throw new OrbError('invalid-request', {
      message: 'There is nothing to vote for.',
      hint: 'Give --peers NAMES, --set NAME=VALUE, --dispute JOB or --refund JOB.',
    });
  }
  const next: Record<string, unknown> = { ...current, split: { ...current.split }, version: current.version + 1 };
  if (peers !== undefined) next['peers'] = await accountsOf(orb, peers);
  for (const [name, value] of set) {
    const [part, member] = name.split('.') as [string, string | undefined];
    const within = member === undefined ? next : (next[part] as Record<string, unknown>);
    const key = member ?? part;
    if (typeof within !== 'object' || key === 'version') throw new OrbError('invalid-request', { message: `There is no rule ${name}.` });
    // Amounts are texts, all else numbers.
    within[key] = typeof within[key] === 'string' ? value : Number(value);
  }
  return parseWith(parametersSchema.omit({ fromHeight: true }), next, 'parameters');
}

async function accountsOf(orb: Orb, names: string): Promise<AccountId[]> {
  if (names === 'none') return [];
  return Promise.all(names.split(',').map(async (name) => (await orb.accounts.show(name.trim())).id));
}

async function votesUnderWay(orb: Orb): Promise<readonly { readonly subject: VoteSubject; readonly accounts: readonly AccountId[] }[]> {
  const votes = [];
  for (const { key, value } of await orb.ledger.page('vote/', { limit: 20 })) {
    // The state holds the hash of what is voted for; the first vote says what it is.
    const first = (await orb.ledger.history(key, 1))[0];
    const located = first && (await orb.ledger.transaction(first.transaction));
    if (located?.transaction.kind !== 'peer.vote') continue;
    votes.push({ subject: located.transaction.body.subject, accounts: (value as unknown as VoteRecord).accounts });
  }
  return votes;
}

async function namesOf(orb: Orb, ids: readonly AccountId[]): Promise<ReadonlyMap<AccountId, string>> {
  const found = await Promise.all(
    [...new Set(ids)].map(async (id): Promise<[AccountId, string]> => {
      const account = await orb.accounts.show(id).catch(() => undefined);
      return [id, account ? cleanText(account.name) : shortId(id)];
    }),
  );
  return new Map(found);
}

function describe({ split, ...rules }: Proposal): [name: string, value: string][] {
  const share = (bps: number) => `${bps / 100} %`;
  const span = (ms: number) => formatUs(ms * 1_000);
  return [
    ['shares', `relay ${share(split.relayBps)}, commission ${share(split.commissionBps)}, seeding ${share(split.seedingBps)}`],
    ['dispute window', span(rules.disputeWindowMs)],
    ['grace', span(rules.graceMs)],
    ['tolerance of run time', span(rules.runToleranceMs)],
    ['smallest bond', formatMoney(rules.minBond)],
    ['faucet', `${formatMoney(rules.faucetGrant)} a grant, ${formatMoney(rules.faucetTotal)} an account`],
    ['bond answers for', span(rules.unbondingMs ?? parameterDefaults.unbondingMs)],
    ['recovery', span(rules.recoveryMs ?? parameterDefaults.recoveryMs)],
    ['rules', String(rules.rules ?? 1)],
    ['challenges', span(rules.challengeMs ?? parameterDefaults.challengeMs)],
  ];
}

/** What a proposal changes, line by line. */
function changesOf(current: Parameters, proposal: Proposal, names: ReadonlyMap<AccountId, string>): string {
  const flat = (rules: object): [string, string][] =>
    Object.entries(rules).flatMap(([name, value]) =>
      name === 'split' ? flat(value as object).map(([of, to]): [string, string] => [`split.${of}`, to]) : [[name, told(name, value)]],
    );
  const told = (name: string, value: unknown) =>
    name === 'peers' ? (value as AccountId[]).map((id) => names.get(id) ?? shortId(id)).join(', ') || 'nobody' : JSON.stringify(value);
  const before = new Map(flat(current));
  return flat(proposal)
    .filter(([name, value]) => name !== 'version' && before.get(name) !== value)
    .map(
      ([name, value]) =>
        `  ${name}: ${before.get(name) ?? (name === 'peers' ? 'nobody' : 'the default')} → ${cleanText(value, { limit: 300 })}`,
    )
    .join('\n');
}
