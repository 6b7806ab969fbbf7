import type { AccountRecord, BalanceRecord, CreditRecord, Json, Transaction } from '@orb/protocol';
import { cleanText } from '../terminal/clean-text.ts';
import { formatInstant, formatMoney, shortId } from '../terminal/format.ts';

/** What a transaction is about, in a few words. */
export function describeTransaction({ kind, body }: Transaction): string {
  switch (kind) {
    case 'account.create':
    case 'function.create':
      return cleanText(body.name);
    case 'transfer':
    case 'treasury.mint':
      return `${formatMoney(body.units)} to ${shortId(body.to)}`;
    case 'treasury.burn':
      return formatMoney(body.units);
    case 'super-node.register':
      return cleanText(body.gateway);
    case 'node.register':
      return cleanText(body.label);
    case 'function.control':
      return `${body.action.type} ${shortId(body.function)}`;
    case 'allowance.open':
      return `up to ${formatMoney(body.maxUnits)} at ${shortId(body.superNode)}`;
    case 'job.assign':
      return jobs(body.tickets.length, body.superNode);
    case 'job.finish':
      return jobs(body.receipts.length, body.superNode);
    case 'job.acknowledge':
      return jobs(body.acknowledgements.length, body.superNode);
    case 'job.settle':
      return jobs(
        body.batches.reduce((sum, { rows }) => sum + rows.length, body.lost.length),
        body.superNode,
      );
    case 'job.claim':
      return jobs(body.claims.length, body.superNode);
    case 'job.conclude':
      return jobs(body.jobs.length, body.superNode);
    case 'peer.vote':
      return body.subject.type;
    default:
      return Object.values(body as Record<string, unknown>)
        .filter((value): value is string => typeof value === 'string')
        .map((value) => shortId(cleanText(value, { limit: 80 })))
        .join(' ');
  }
}

function jobs(count: number, superNode: string): string {
  return `${count} ${count === 1 ? 'job' : 'jobs'} at ${shortId(superNode)}`;
}

/** What differs between two values of a record, member by member. */
export function describeChange(before: Json | null | undefined, after: Json | null): string {
  if (after === null) return 'deleted';
  if (!isRecord(before) || !isRecord(after)) return text(after);
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) => text(before[name]) !== text(after[name]));
  return names.map((name) => `${cleanText(name)}: ${text(before[name])} → ${text(after[name])}`).join(', ') || 'as before';
}

function isRecord(value: Json | null | undefined): value is { readonly [key: string]: Json | undefined } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: Json | undefined): string {
  return value === undefined ? 'nothing' : cleanText(JSON.stringify(value), { limit: 2_000 });
}

/** An account with what it has, as names and values. @param credits what it has earned, by super node */
export function accountFacts(
  account: AccountRecord,
  balance: BalanceRecord | undefined,
  credits: readonly { readonly superNode: string; readonly credit: CreditRecord }[],
): [name: string, value: string][] {
  return [
    ['id', account.id],
    ['roles', account.roles.join(', ') || 'none'],
    ...account.keys.map((key, i): [string, string] => [i === 0 ? 'keys' : '', key]),
    ['acts so far', String(account.sequence)],
    ['can spend', formatMoney(balance?.available ?? '0')],
    ...credits.flatMap(({ superNode, credit }): [string, string][] => [
      ['earned at', `${shortId(superNode)}: ${formatMoney(credit.vested)} to be swept`],
      ...credit.vesting.map(([when, units]): [string, string] => ['', `${formatMoney(units)} from ${formatInstant(when)} on`]),
    ]),
  ];
}
