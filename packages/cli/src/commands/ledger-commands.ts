import type { Command } from 'commander';
import {
  OrbError,
  blockHash,
  isHex32,
  stateKeys,
  transactionId,
  type AccountRecord,
  type BalanceRecord,
  type Block,
  type CreditRecord,
} from '@orb/protocol';
import { verifyWhole } from '../session/verify-whole.ts';
import type { Session } from '../session/session.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { formatInstant, formatMoney, shortId } from '../terminal/format.ts';
import { renderFacts, renderTable } from '../terminal/table.ts';
import { addBackupCommands } from './backup-commands.ts';
import { accountFacts, describeChange, describeTransaction } from './describe-ledger.ts';
import type { CommandContext } from './command-context.ts';
import { wholeNumber } from './option-values.ts';
import { addOrdererCommands } from './orderer-commands.ts';
import { addPeerCommands, finalWords } from './peer-commands.ts';
import { addVoteCommands } from './vote-commands.ts';

/** Lines of a transaction's body that a person is shown. */
const shownLines = 60;

/** `orb ledger …`: read and check the ledger. */
export function addLedgerCommands(program: Command, context: CommandContext): void {
  const ledger = program.command('ledger').description('the ledger: read it, and check it from its first block');
  ledger
    .command('show', { isDefault: true })
    .description('the head and the money')
    .action(async (_: unknown, command: Command) => showLedger(context.session(command)));
  ledger
    .command('verify')
    .description('fetch every block, check signatures and hashes, run everything again, compare')
    .action(async (_: unknown, command: Command) => verifyLedger(context.session(command)));
  ledger
    .command('block')
    .description('one block')
    .argument('<height>', 'its number; 0 is the first', wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .action(async (height: number, _: unknown, command: Command) => showBlock(context.session(command), height));
  ledger
    .command('tx')
    .description('one transaction and its place')
    .argument('<id>', 'transaction id')
    .action(async (id: string, _: unknown, command: Command) => showTransaction(context.session(command), id));
  ledger
    .command('account')
    .description('an account’s records')
    .argument('<name>', 'name or id')
    .action(async (name: string, _: unknown, command: Command) => showAccountRecords(context.session(command), name));
  ledger
    .command('history')
    .description('every value that a key of the ledger’s state has had')
    .argument('<key>', 'such as balance/ACCOUNT-ID or function/FUNCTION-ID')
    .option('--limit <number>', 'how many', wholeNumber(1, 10_000), 100)
    .action(async (key: string, flags: { limit: number }, command: Command) => showHistory(context.session(command), key, flags.limit));
  addPeerCommands(ledger, context);
  addOrdererCommands(ledger, context);
  addVoteCommands(ledger, context);
  addBackupCommands(ledger, context);
}

async function showLedger(session: Session): Promise<void> {
  const orb = await session.orb();
  const [{ chain, head, genesis, name }, supply, finality, orderer] = await Promise.all([
    orb.network(),
    orb.ledger.get(stateKeys.supply),
    orb.ledger.finality(),
    orb.ledger.orderer(),
  ]);
  const { minted = '0', burned = '0' } = (supply ?? {}) as { minted?: string; burned?: string };
  session.result(
    {
      name,
      chain,
      head: { ...head, hash: blockHash(head) },
      genesis,
      supply: { minted, burned },
      finality: finality ?? null,
      orderer: orderer ?? null,
    },
    () => {
      const { style } = session.terminal;
      return [
        style.strong(`ledger of ${cleanText(name)}`),
        renderFacts(
          [
            ['chain', chain],
            ['height', String(head.height)],
            ['head', blockHash(head)],
            ['time', formatInstant(head.time)],
            ['state root', head.state],
            ['orderer', `${orderer?.key ?? genesis.ordererKey}${head.epoch === 1 ? '' : `, epoch ${head.epoch}`}`],
            ['final', finalWords(finality, style)],
            ['money made', formatMoney(minted)],
            ['money unmade', formatMoney(burned)],
          ],
          style,
          '  ',
        ),
      ].join('\n');
    },
  );
}

async function verifyLedger(session: Session): Promise<void> {
  session.progress.step('Verifying from the first block');
  const { head: verified, ...counts } = await verifyWhole(await session.orb(), (height, of) =>
    session.progress.update(`Verifying block ${height} of ${of}`, of === 0 ? 1 : height / of),
  ).catch((error: unknown) => {
    session.progress.fail();
    throw error;
  });
  session.progress.done('Every block checked and run again');
  session.result({ ...counts, height: verified.height, hash: blockHash(verified), state: verified.state }, () => {
    const { style } = session.terminal;
    return `${style.good('✓ ledger verified')} (height ${verified.height}, ${counts.transactions} transactions, ${counts.jobs} jobs) ${style.quiet(shortId(blockHash(verified)))}`;
  });
}

async function showBlock(session: Session, height: number): Promise<void> {
  const block = await (await session.orb()).ledger.block(height);
  if (!block) throw new OrbError('not-found', { message: `There is no block ${height} yet.` });
  session.result(block, () => describeBlock(block, session));
}

function describeBlock({ header, transactions }: Block, { terminal: { style, width } }: Session): string {
  const facts = renderFacts(
    [
      ['hash', blockHash(header)],
      ['previous', header.previous],
      ['time', formatInstant(header.time)],
      ['epoch', String(header.epoch)],
      ['state root', header.state],
    ],
    style,
    '  ',
  );
  const rows = transactions.map((one, i) => [String(i), one.kind, describeTransaction(one), transactionId(one)]);
  const table =
    rows.length === 0
      ? '  no transactions'
      : renderTable(
          [{ title: '#', align: 'right' }, { title: 'kind' }, { title: 'what', flexible: true }, { title: 'transaction', flexible: true }],
          rows,
          style,
          width,
        );
  return `${style.strong(`block ${header.height}`)}\n${facts}\n\n${table}`;
}

async function showTransaction(session: Session, id: string): Promise<void> {
  if (!isHex32(id))
    throw new OrbError('invalid-request', {
      message: `${cleanText(id, { limit: 80 })} is not a transaction id.`,
      hint: 'It has 64 hexadecimal digits.',
    });
  const located = await (await session.orb()).ledger.transaction(id);
  if (!located) throw new OrbError('not-found', { message: 'No such transaction is on the ledger.' });
  session.result(located, () => {
    const { style } = session.terminal;
    const { transaction, height, index } = located;
    const facts = renderFacts(
      [
        ['block', `${height}, place ${index}`],
        ['what', describeTransaction(transaction)],
        ['signed by', transaction.signatures.map(({ key }) => key).join(', ') || 'nobody'],
      ],
      style,
      '  ',
    );
    const lines = cleanText(JSON.stringify(transaction.body, null, 2), { multiline: true, limit: 300_000 }).split('\n');
    const more = lines.length - shownLines;
    const rest = more > 0 ? `\n${style.quiet(`… ${more} more lines: --json shows all`)}` : '';
    return `${style.strong(transaction.kind)}\n${facts}\n${lines.slice(0, shownLines).join('\n')}${rest}`;
  });
}

async function showAccountRecords(session: Session, name: string): Promise<void> {
  const orb = await session.orb();
  const { id } = await orb.accounts.show(name);
  const credits = (await orb.ledger.page(`credit/${id}/`)).map(({ key, value }) => [key, value] as const);
  const keys = [stateKeys.account(id), stateKeys.balance(id)];
  const records = [...(await Promise.all(keys.map(async (key) => [key, (await orb.ledger.get(key)) ?? null] as const))), ...credits];
  session.result(Object.fromEntries(records), () => {
    const [account, balance] = records.map(([, value]) => value) as unknown as [AccountRecord, BalanceRecord | null];
    const earned = credits.map(([key, value]) => ({ superNode: key.split('/')[2]!, credit: value as unknown as CreditRecord }));
    const { style } = session.terminal;
    return `${style.strong(cleanText(account.name))}\n${renderFacts(accountFacts(account, balance ?? undefined, earned), style, '  ')}`;
  });
}

async function showHistory(session: Session, key: string, limit: number): Promise<void> {
  const changes = await (await session.orb()).ledger.history(key, limit);
  if (changes.length === 0)
    throw new OrbError('not-found', { message: `The key ${cleanText(key, { limit: 200 })} has never been written.` });
  session.result({ key, changes }, () => {
    const { style } = session.terminal;
    return changes
      .map(({ height, time, transaction, value }, i) => {
        const place = style.quiet(`block ${height} · ${formatInstant(time)} · ${shortId(transaction)}`);
        return `${place}\n  ${value === null ? style.bad('deleted') : describeChange(changes[i - 1]?.value, value)}`;
      })
      .join('\n');
  });
}
