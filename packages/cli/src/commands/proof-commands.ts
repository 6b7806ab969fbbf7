import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { InvalidArgumentError, type Command } from 'commander';
import {
  OrbError,
  acknowledgementFromRow,
  blockHash,
  checkJobProof,
  finalityOf,
  isHex32,
  receiptFromRow,
  ticketFromRow,
  transactionId,
  type CheckedJobProof,
  type Finality,
} from '@orb/protocol';
import { readProfile } from '../session/profile.ts';
import type { Session } from '../session/session.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { formatInstant, formatUs, shortId } from '../terminal/format.ts';
import type { Style } from '../terminal/style.ts';
import { renderFacts } from '../terminal/table.ts';
import type { CommandContext } from './command-context.ts';

interface VerifyFlags {
  readonly chain?: string;
  readonly peer?: readonly string[];
}

/** Far above the largest proof. */
const fileBytes = 64 * 1024 * 1024;

/** `orb verify-proof FILE`: checks what `orb job ID --proof FILE` has written. */
export function addVerifyProofCommand(program: Command, context: CommandContext): void {
  program
    .command('verify-proof')
    .description('check a job’s proof, without the network: from the genesis to the job’s row')
    .argument('<file>', 'as orb job ID --proof FILE has written it')
    .option('--chain <id>', 'the network that is meant (default: one that this computer has spoken to)', hexKey)
    .option('--peer <key>', 'a peer that you trust to co-sign blocks; give it once for each', (text: string, all?: readonly string[]) => [
      ...(all ?? []),
      hexKey(text),
    ])
    .action(async (file: string, flags: VerifyFlags, command: Command) => verifyProof(context.session(command), file, flags));
}

/** Fetches a job's proof, checks it and writes it to a file. */
export async function writeJobProof(session: Session, id: string, path: string): Promise<void> {
  const { file, checked } = await (await session.orb()).jobProof(id);
  await writeFile(`${path}.new`, `${JSON.stringify(file, null, 1)}\n`);
  await rename(`${path}.new`, path);
  session.result({ file: path, job: id, chain: checked.chain, height: checked.header.height, cosigners: checked.cosigners }, () => {
    const { style } = session.terminal;
    return [
      `${style.good('✓')} The proof of job ${id} is in ${style.strong(path)}.`,
      `  ${style.quiet(`It holds the job’s row, block ${checked.header.height} and the signatures. Check it anywhere:`)} orb verify-proof ${path}`,
    ].join('\n');
  });
}

async function verifyProof(session: Session, path: string, { chain, peer = [] }: VerifyFlags): Promise<void> {
  const checked = checkJobProof(await readProof(path), chain);
  const known = Object.entries((await readProfile(session.home)).chains).find(([, id]) => id === checked.chain)?.[0];
  const finality = finalityOf(checked.header, checked.cosignatures, peer);
  const result = {
    holds: true,
    job: checked.job,
    accepted: checked.rejection === undefined,
    rejection: checked.rejection ?? null,
    chain: checked.chain,
    network: checked.genesis.name,
    known: chain !== undefined || known !== undefined,
    height: checked.header.height,
    block: blockHash(checked.header),
    time: checked.header.time,
    transaction: transactionId(checked.transaction),
    row: checked.row,
    cosigners: checked.cosigners,
    epochs: checked.epochs,
    finality,
  };
  session.result(result, () => describe(checked, finality, { meant: chain !== undefined, known }, session.terminal.style));
}

function describe(checked: CheckedJobProof, finality: Finality, by: { meant: boolean; known: string | undefined }, style: Style): string {
  const { row, header, rejection, genesis, chain, epochs } = checked;
  const facts: [string, string][] = [
    ['network', `${cleanText(genesis.name)}, chain ${chain}`],
    [
      'block',
      `${header.height}, ${formatInstant(header.time)}, ${shortId(blockHash(header))}, signed by the orderer ${shortId(epochs.at(-1)!.key)}`,
    ],
    ...epochWords(checked),
    ['final', finalityWords(checked, finality, style)],
    ['transaction', `${checked.transaction.kind} ${shortId(transactionId(checked.transaction))}`],
  ];
  if (row.ticket) {
    const ticket = ticketFromRow(row.ticket);
    facts.push([
      'ticket',
      `function ${shortId(ticket.function)}, version ${shortId(ticket.version)}, attempt ${ticket.attempt}, rate ${ticket.rate}, at most ${ticket.maxCost}`,
    ]);
  }
  if (row.node) facts.push(['node', row.node]);
  if (row.receipt) {
    const { runUs, setupUs, outcome, resultHash } = receiptFromRow(row.receipt);
    facts.push(['ran', `${formatUs(runUs)} after ${formatUs(setupUs)} of setup: ${outcome}`], ['result', resultHash]);
  }
  if (row.acknowledgement) facts.push(['received', receivedWords(acknowledgementFromRow(row.acknowledgement).received)]);
  const head = rejection
    ? `${style.warn('!')} The proof holds, and the ledger ${style.strong('rejected')} this row: ${cleanText(rejection.message)}`
    : `${style.good('✓')} The proof holds: job ${checked.job} is on the ledger.`;
  return [head, renderFacts(facts, style, '  '), ...trustWords(by, style)].join('\n');
}

/** How the ledger came to the orderer of the block, where that is not the genesis's. */
function epochWords({ epochs: [, ...changes] }: CheckedJobProof): [string, string][] {
  return changes.map(({ epoch, since, by, signed, of }) => [
    `epoch ${epoch}`,
    `from block ${since}, ${by === 'treasury' ? 'by the treasury alone' : `by ${signed} of ${of} peers`}`,
  ]);
}

function finalityWords({ cosigners }: CheckedJobProof, { final, signed, of }: Finality, style: Style): string {
  if (of > 0)
    return final
      ? style.good(`final (${signed} of ${of} peers that you trust)`)
      : style.warn(`not final: ${signed} of ${of} peers that you trust`);
  if (cosigners.length === 0) return style.warn('orderer-only');
  return style.warn(`co-signed by ${cosigners.map(shortId).join(', ')}; name those that you trust with --peer KEY`);
}

function receivedWords(received: boolean | null): string {
  if (received === null) return 'not known yet';
  return received ? 'yes' : 'no';
}

function trustWords({ meant, known }: { meant: boolean; known: string | undefined }, style: Style): string[] {
  if (meant) return [];
  if (known !== undefined) return [style.quiet(`  This is the network that this computer knows at ${cleanText(known)}.`)];
  return [style.warn('  This computer does not know that network. Compare the chain with the one you mean, or give it with --chain.')];
}

async function readProof(path: string): Promise<unknown> {
  try {
    if ((await stat(path)).size > fileBytes) throw new Error('it is far too large');
    return JSON.parse(await readFile(path, 'utf8')) as unknown;
  } catch (cause) {
    throw new OrbError('invalid-request', {
      message: `${path} cannot be read as a proof: ${(cause as Error).message}`,
      hint: 'Make one: orb job ID --proof FILE',
      cause,
    });
  }
}

function hexKey(text: string): string {
  if (!isHex32(text)) throw new InvalidArgumentError('It has 64 lower-case hexadecimal digits.');
  return text;
}
