import { resolve } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import {
  OrbError,
  accountId,
  canonical,
  chainId,
  decidingPeers,
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
import type { Orb, Owner } from '@orb/sdk';
import { openNetworkFolder } from '../compose.ts';
import type { Session } from '../session/session.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { formatMoney, formatUs, shortId } from '../terminal/format.ts';
import { renderFacts } from '../terminal/table.ts';
import type { CommandContext } from './command-context.ts';

interface VoteFlags {
  readonly peers?: string;
  readonly set?: readonly (readonly [name: string, value: string])[];
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
    .description('vote for the next rules and prices; the same command of enough peers puts them in force')
    .option('--peers <names>', 'the accounts that decide and co-sign from then on, with commas between them; none: the treasury alone')
    .option('--set <name=value>', 'a rule or price, such as graceMs=60000 or split.relayBps=500; may be given again', setting, [])
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
  const names = await namesOf(orb, [...deciding, ...votes.flatMap(({ accounts }) => accounts)]);
  session.result({ parameters, deciding: { peers: deciding, needed }, votes }, () => {
    const { style } = session.terminal;
    const lines = [
      style.strong(`rules and prices, version ${parameters.version}`) + style.quiet(`  in force since block ${parameters.fromHeight}`),
      renderFacts(describe(parameters), style, '  '),
      `  ${style.quiet('decided by')}  ${deciding.map((id) => names.get(id)).join(', ')} ${style.quiet(`(${needed} of ${deciding.length})`)}`,
    ];
    for (const { subject, accounts } of votes) {
      lines.push(`\n${style.strong('voted for')}  ${accounts.map((id) => names.get(id)).join(', ')} ${style.quiet(`(${needed} needed)`)}`);
      lines.push(subject.type === 'parameters' ? changesOf(parameters, subject.parameters) : `  ${cleanText(JSON.stringify(subject))}`);
    }
    return lines.join('\n');
  });
}

async function vote(session: Session, flags: VoteFlags): Promise<void> {
  const { orb, owner, name } = flags.treasury === undefined ? await session.orbAs() : await asTreasury(session, flags.treasury);
  const { parameters, genesis } = await orb.network();
  const proposal = await propose(orb, parameters, flags);
  const subject: VoteSubject = { type: 'parameters', parameters: proposal };
  const { height } = await orb.ledger.sendAs(owner.id, 'peer.vote', { account: owner.id, subject }, [owner.signer]);
  const record = (await orb.ledger.get(stateKeys.vote(sha256(canonical(subject as unknown as Json))))) as VoteRecord | undefined;
  const deciding = decidingPeers(parameters, accountId(genesis.treasuryKey));
  const needed = quorumOf(deciding.length);
  const voted = record?.accounts.length ?? needed;
  session.result({ subject, account: owner.id, voted, needed, decided: record === undefined, height }, () => {
    const { style } = session.terminal;
    const outcome = record ? `${voted} of the ${needed} votes that it needs` : `decided, in force from block ${height + 1}`;
    return `${style.good('✓')} ${name} has voted for version ${proposal.version} of the rules and prices: ${outcome}.\n${changesOf(parameters, proposal)}`;
  });
}

async function asTreasury(session: Session, folder: string): Promise<{ orb: Orb; owner: Owner; name: string }> {
  const { genesis, treasury } = await openNetworkFolder(resolve(folder));
  if (!treasury) throw new OrbError('invalid-request', { message: `The folder ${folder} does not hold the key of a treasury.` });
  const orb = await session.orb();
  if ((await orb.network()).chain !== chainId(genesis)) {
    throw new OrbError('wrong-chain', { message: `The folder ${folder} belongs to another network than ${orb.url}.` });
  }
  return { orb, owner: { id: accountId(treasury.publicKey), signer: treasury }, name: 'The treasury' };
}

/** The next version. Whoever gives the same flags proposes the same, so votes of different people add up. */
async function propose(orb: Orb, { fromHeight: _, ...current }: Parameters, { peers, set = [] }: VoteFlags): Promise<Proposal> {
  if (peers === undefined && set.length === 0) {
    throw new OrbError('invalid-request', { message: 'There is nothing to vote for.', hint: 'Give --peers NAMES or --set NAME=VALUE.' });
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
  const span = (ms: number | undefined) => (ms === undefined ? 'the default' : formatUs(ms * 1_000));
  return [
    ['shares', `relay ${share(split.relayBps)}, commission ${share(split.commissionBps)}, seeding ${share(split.seedingBps)}`],
    ['dispute window', span(rules.disputeWindowMs)],
    ['grace', span(rules.graceMs)],
    ['tolerance of run time', span(rules.runToleranceMs)],
    ['smallest bond', formatMoney(rules.minBond)],
    ['faucet', `${formatMoney(rules.faucetGrant)} a grant, ${formatMoney(rules.faucetTotal)} an account`],
    ['bond answers for', span(rules.unbondingMs)],
    ['recovery', span(rules.recoveryMs)],
    ['challenges', span(rules.challengeMs)],
    ['peers', String(rules.peers?.length ?? 0)],
  ];
}

/** What a proposal changes, line by line. */
function changesOf(current: Parameters, proposal: Proposal): string {
  const flat = (rules: object): [string, string][] =>
    Object.entries(rules).flatMap(([name, value]) =>
      name === 'split' ? flat(value as object).map(([of, to]): [string, string] => [`split.${of}`, to]) : [[name, JSON.stringify(value)]],
    );
  const before = new Map(flat(current));
  return flat(proposal)
    .filter(([name, value]) => name !== 'version' && before.get(name) !== value)
    .map(([name, value]) => `  ${name}: ${before.get(name) ?? 'the default'} → ${cleanText(value, { limit: 300 })}`)
    .join('\n');
}
