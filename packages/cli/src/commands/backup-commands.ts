import { createReadStream } from 'node:fs';
import { open, rename, unlink } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { OrbError, blockHash, canonical, chainId, genesisSchema, parseWith, type Block, type Genesis, type Json } from '@orb/protocol';
import { z } from 'zod';
import { genesisOfFolder, readLedgerFolder, restoreFolder, verifyBlocks } from '../compose.ts';
import { readProfile } from '../session/profile.ts';
import type { Session } from '../session/session.ts';
import { shortId } from '../terminal/format.ts';
import type { CommandContext } from './command-context.ts';

/** First line of a back-up; each further line is a block, from block 0 on. */
const headSchema = z.strictObject({ v: z.literal(1), type: z.literal('orb-ledger'), genesis: genesisSchema });

/** `orb ledger export`, `orb ledger restore`: a ledger in one file, and back. */
export function addBackupCommands(ledger: Command, context: CommandContext): void {
  ledger
    .command('export')
    .description('write the whole ledger to a file, each block checked on the way; nothing has to stop for it')
    .argument('<file>', 'where to')
    .option('--folder <folder>', 'a ledger’s folder on this computer (default: what the super node serves)')
    .action(async (file: string, { folder }: { folder?: string }, command: Command) =>
      exportLedger(context.session(command), file, folder),
    );
  ledger
    .command('restore')
    .description('make a ledger’s folder from such a file, running every block again')
    .argument('<file>', 'as orb ledger export has written it')
    .requiredOption('--folder <folder>', 'where to, such as the folder ledger of a super node’s')
    .option('--chain <id>', 'the network that is meant')
    .action(async (file: string, flags: { folder: string; chain?: string }, command: Command) =>
      restoreLedger(context.session(command), file, flags),
    );
}

async function exportLedger(session: Session, path: string, folder: string | undefined): Promise<void> {
  const { genesis, blocks } = folder === undefined ? await fromNetwork(session) : await fromFolder(resolve(folder));
  session.progress.step('Writing the ledger');
  const draft = `${path}.new`;
  const file = await open(draft, 'w');
  try {
    // Canonical, so that one ledger gives one file, wherever it comes from.
    await file.appendFile(`${canonical({ v: 1, type: 'orb-ledger', genesis })}\n`);
    const writing = async function* (): AsyncGenerator<Block, void> {
      for await (const block of blocks) {
        yield block;
        // Asked for the next one: this one was right.
        await file.appendFile(`${canonical(block as unknown as Json)}\n`);
      }
    };
    const report = await verifyBlocks(genesis, writing(), (height) => session.progress.update(`Writing block ${height}`));
    if (!report.ok) throw report.error;
    await file.sync();
    await file.close();
    await rename(draft, path);
    session.progress.done('Every block checked and written');
    const { head, transactions, jobs } = report;
    session.result({ file: path, chain: head.chain, height: head.height, hash: blockHash(head), transactions, jobs }, () => {
      const { style } = session.terminal;
      return `${style.good('✓')} ${style.strong(path)} holds the ledger up to block ${head.height} (${transactions} transactions, ${jobs} jobs). ${style.quiet(shortId(blockHash(head)))}`;
    });
  } catch (error) {
    session.progress.fail();
    await file.close().catch(() => undefined);
    await unlink(draft).catch(() => undefined);
    throw error;
  }
}

async function fromNetwork(session: Session): Promise<{ genesis: Genesis; blocks: AsyncIterable<Block> }> {
  const orb = await session.orb();
  return { genesis: (await orb.network()).genesis, blocks: orb.ledger.blocks() };
}

async function fromFolder(folder: string): Promise<{ genesis: Genesis; blocks: AsyncIterable<Block> }> {
  const genesis = await genesisOfFolder(folder);
  if (!genesis) throw new OrbError('not-found', { message: `There is no ledger in ${folder}.` });
  return { genesis, blocks: readLedgerFolder(folder) };
}

async function restoreLedger(session: Session, path: string, { folder, chain }: { folder: string; chain?: string }): Promise<void> {
  const lines = linesOf(path);
  const { genesis } = parseWith(headSchema, (await lines.next()).value, path);
  const actual = chainId(genesis);
  if (chain !== undefined && chain !== actual) {
    throw new OrbError('wrong-chain', { message: `${path} holds the chain ${actual}, not ${chain}.`, hint: 'Choose another file.' });
  }
  session.progress.step('Running every block again');
  const head = await restoreFolder(resolve(folder), genesis, lines, (height) =>
    session.progress.update(`Running block ${height} again`),
  ).catch((error: unknown) => {
    session.progress.fail();
    throw error;
  });
  session.progress.done('Every block checked and run again');
  const known = chain !== undefined || Object.values((await readProfile(session.home)).chains).includes(actual);
  session.result({ folder: resolve(folder), chain: actual, height: head.height, hash: blockHash(head), state: head.state, known }, () => {
    const { style } = session.terminal;
    const trust = known ? '' : `\n  ${style.warn(`This computer does not know the chain ${actual}: compare it with the one you mean.`)}`;
    return `${style.good('✓')} The ledger is in ${style.strong(resolve(folder))}, up to block ${head.height}. ${style.quiet(shortId(blockHash(head)))}${trust}`;
  });
}

/** @throws OrbError `invalid-request` when it cannot be read, `ledger-corrupt` naming the line that is damaged */
async function* linesOf(path: string): AsyncGenerator<unknown, void> {
  const input = createReadStream(path);
  const failed = new Promise<never>((_, reject) => input.once('error', reject));
  failed.catch(() => undefined);
  try {
    await Promise.race([new Promise((ready) => input.once('open', ready)), failed]);
  } catch (cause) {
    throw new OrbError('invalid-request', { message: `${path} cannot be read: ${(cause as Error).message}`, cause });
  }
  let number = 0;
  for await (const line of createInterface({ input, crlfDelay: Infinity })) {
    number++;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      throw new OrbError('ledger-corrupt', {
        message: `Line ${number} of ${path} is damaged: it is not JSON.`,
        hint: 'Use another back-up. The blocks before that line are right; restoring goes on from them.',
        cause,
      });
    }
    yield value;
  }
}
