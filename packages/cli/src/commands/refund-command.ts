import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import {
  OrbError,
  canonical,
  parseTransaction,
  parseUnits,
  signTransaction,
  stateKeys,
  type FunctionRecord,
  type Hex32,
  type Json,
  type Signer,
  type SuperNodeRecord,
  type Transaction,
  type TransactionBody,
} from '@orb/protocol';
import type { Orb } from '@orb/sdk';
import { openNetworkFolder } from '../compose.ts';
import type { Session } from '../session/session.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { formatMoney } from '../terminal/format.ts';
import type { CommandContext } from './command-context.ts';

interface RefundFlags {
  readonly superNode?: string;
  readonly file?: string;
}

type Refund = TransactionBody<'job.refund'>;

/** Somebody who was paid, and so must agree. */
interface Party {
  readonly who: string;
  /** One of these keys must sign. */
  readonly keys: readonly Hex32[];
  /** Opens the key where it is on this machine. */
  open(): Promise<Signer | undefined>;
}

/** `orb job refund`: who was paid gives it back. */
export function addRefundCommand(job: Command, context: CommandContext): void {
  job
    .command('refund')
    .description('give a payment back to its payer, inside the dispute window: super node, provider, and owner of a priced function agree')
    .argument('<id>', 'job id')
    .option('--super-node <folder>', 'agree as the super node whose folder this is')
    .option('--file <file>', 'where the agreement goes from one to the next (default: refund-ID.json)')
    .action(async (id: string, flags: RefundFlags, command: Command) => refund(context.session(command), id, flags));
}

async function refund(session: Session, id: string, { superNode: folder, file }: RefundFlags): Promise<void> {
  const orb = await session.orb();
  const { job } = await orb.job(id);
  if (job.state !== 'paid') {
    const refunded = job.state === 'refunded';
    throw new OrbError(refunded ? 'already-settled' : 'conflict', {
      message: refunded ? 'This payment has gone back already.' : `Nothing was paid for this job: it is ${job.state}.`,
    });
  }
  const closed = await orb.jobClosed(id);
  const body: Refund = { superNode: job.superNode, job: id, settlement: closed.settlement, row: closed.row, proof: closed.proof };
  const parties = await partiesOf(session, orb, body, folder);
  const path = resolve(file ?? `refund-${id}.json`);
  const transaction = await agree((await orb.network()).chain, body, parties, await readAgreement(path));
  const missing = parties.filter(({ keys }) => !transaction.signatures.some(({ key }) => keys.includes(key)));
  const { style } = session.terminal;
  if (missing.length > 0) {
    if (missing.length === parties.length) throw nobodyHere(parties);
    await writeFile(path, `${JSON.stringify(transaction, null, 2)}\n`);
    const names = missing.map(({ who }) => who);
    session.result({ job: id, refunded: false, missing: names, file: path }, () =>
      [
        `${style.warn('!')} ${names.join(' and ')} must agree too.`,
        `  Send them ${style.strong(path)}; there: orb job refund ${id} --file FILE`,
      ].join('\n'),
    );
    return;
  }
  const { height } = await orb.ledger.submit(transaction);
  session.result({ job: id, refunded: true, units: job.cost, height }, () => {
    return `${style.good('✓')} ${style.strong(formatMoney(job.cost))} of job ${id} went back to its payer. ${style.quiet(`(block ${height})`)}`;
  });
}

async function partiesOf(session: Session, orb: Orb, { superNode: id, job, row }: Refund, folder: string | undefined): Promise<Party[]> {
  const superNode = (await orb.ledger.get(stateKeys.superNode(id))) as unknown as SuperNodeRecord | undefined;
  const fn = (await orb.ledger.get(stateKeys.function(row[5]))) as unknown as FunctionRecord | undefined;
  const provider = (await orb.job(job)).job.provider;
  if (!superNode || !fn) throw new OrbError('not-found', { message: 'The super node or the function of this job is not on the ledger.' });
  const hasPrice = row[7].some(([sequence, , royalty]) => job.endsWith(`-${sequence}`) && parseUnits(royalty) > 0n);
  const open = async () => (folder === undefined ? undefined : (await openNetworkFolder(resolve(folder))).superNode);
  return [
    { who: `the super node ${id.slice(0, 12)}`, keys: [superNode.key], open },
    await partyOf(session, orb, provider, 'the provider'),
    ...(hasPrice ? [await partyOf(session, orb, fn.account, 'the owner')] : []),
  ];
}

async function partyOf(session: Session, orb: Orb, id: string, role: string): Promise<Party> {
  const { name, keys } = await orb.accounts.show(id);
  const path = session.keys.pathOfAccount(name);
  const open = async () => {
    const here = await session.keys.peek(path);
    return here && keys.includes(here.publicKey) ? (await session.keys.openAccount(name)).signer : undefined;
  };
  return { who: `${role} ${cleanText(name)}`, keys, open };
}

/** What others have signed before, and what can be signed here. */
async function agree(chain: string, body: Refund, parties: readonly Party[], before: Transaction | undefined): Promise<Transaction> {
  const signers = (await Promise.all(parties.map((party) => party.open()))).filter((signer) => signer !== undefined);
  const own = signTransaction(chain, 'job.refund', body, signers) as Transaction;
  if (!before) return own;
  if (
    before.kind !== 'job.refund' ||
    before.chain !== chain ||
    canonical(before.body as unknown as Json) !== canonical(body as unknown as Json)
  )
    throw new OrbError('conflict', { message: 'The file is of another refund.', hint: 'Choose another --file.' });
  const signatures = new Map([...before.signatures, ...own.signatures].map((one) => [one.key, one]));
  return { ...own, signatures: [...signatures.values()].sort((a, b) => (a.key < b.key ? -1 : 1)) } as Transaction;
}

async function readAgreement(path: string): Promise<Transaction | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return parseTransaction(JSON.parse(text));
  } catch (cause) {
    throw new OrbError('invalid-request', { message: `${path} is not a refund that somebody has agreed to.`, cause });
  }
}

function nobodyHere(parties: readonly Party[]): OrbError {
  return new OrbError('forbidden', {
    message: `A refund needs ${parties.map(({ who }) => who).join(', ')}; none of their keys is on this machine.`,
    hint: 'An operator names the super node’s folder with --super-node. Who was not paid can ask the peers: orb ledger vote --refund ID.',
  });
}
