import { join, resolve } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { OrbError, blockHash, chainId, isHex32, type Genesis, type Signer } from '@orb/protocol';
import type { LedgerFinality } from '@orb/sdk';
import { genesisOfFolder } from '../compose.ts';
import { runPeer } from '../compose-peer.ts';
import { readProfile } from '../session/profile.ts';
import type { Session } from '../session/session.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { shortId } from '../terminal/format.ts';
import type { Style } from '../terminal/style.ts';
import { renderFacts, renderTable } from '../terminal/table.ts';
import { untilStopped } from '../up/until-stopped.ts';
import type { CommandContext } from './command-context.ts';
import { stopWithParentOption } from './supernode-commands.ts';

interface StartFlags {
  readonly folder: string;
  readonly chain?: string;
  readonly listen?: string;
  readonly other: readonly string[];
  readonly begin: 'auto' | 'snapshot' | 'start';
  readonly trust: readonly string[];
  readonly stopWithParent?: boolean;
}

/** `orb ledger peer start`, `orb ledger peers`: keep a copy of the ledger that vouches for it. */
export function addPeerCommands(ledger: Command, context: CommandContext): void {
  const peer = ledger.command('peer').description('a copy of the ledger that runs every block again and co-signs it');
  peer
    .command('start')
    .description(
      'follow the ledger of the super node at --gateway; co-sign with the key of --account, whose word counts where the ledger lists it',
    )
    .requiredOption('--folder <folder>', 'where the copy, and what it has co-signed, are kept')
    .option('--chain <id>', 'the network that is meant; needed once, where this computer does not know it')
    .option('--listen <host:port>', 'serve reads and proofs over HTTP there')
    .option('--other <url>', 'another peer that is no super node: it is told of refused blocks, and asked; may be given again', address, [])
    .addOption(
      new Option(
        '--begin <how>',
        'what a new folder begins with; auto: a snapshot where the ledger is long and its peers have co-signed one',
      )
        .choices(['auto', 'snapshot', 'start'])
        .default('auto'),
    )
    .option('--trust <key>', 'a peer that you know: two thirds of these must have co-signed the snapshot; may be given again', key, [])
    .addOption(stopWithParentOption())
    .action(async (flags: StartFlags, command: Command) => startPeer(context.session(command), flags));
  ledger
    .command('peers')
    .description('who co-signs the ledger, how far each has come, and up to where it is final')
    .action(async (_: unknown, command: Command) => showPeers(context.session(command)));
}

function key(text: string, before: readonly string[]): readonly string[] {
  if (!isHex32(text)) throw new InvalidArgumentError('It has 64 lower-case hexadecimal digits.');
  return [...before, text];
}

function address(url: string, before: readonly string[]): readonly string[] {
  if (!/^https?:\/\/[^/]+/.test(url) || !URL.canParse(url)) throw new InvalidArgumentError('It must be http://… or https://….');
  return [...before, url];
}

/** What makes the ledger final, in words. */
export function finalWords(finality: LedgerFinality | undefined, style: Style): string {
  if (!finality || finality.source === 'none') return style.warn('orderer-only: no peers are listed');
  const { final, peers, needed, head } = finality;
  const of = `${needed} of ${peers.length}`;
  if (final === null) return style.warn(`orderer-only: fewer than ${of} peers have co-signed`);
  const signed = peers.filter(({ height }) => height !== null && height >= final).length;
  return (
    style.good(`final (${signed} of ${peers.length}) up to block ${final}`) + (final < head ? style.quiet(`, ${head - final} to come`) : '')
  );
}

async function startPeer(
  session: Session,
  { folder: given, chain, listen, other, begin, trust, stopWithParent }: StartFlags,
): Promise<void> {
  const folder = resolve(given);
  const gateway = await answeringGateway(session);
  const genesis = await trustedGenesis(session, folder, gateway, chain);
  const signer = await signerOf(session, folder);
  const { terminal } = session;
  let said = '';
  const peer = await runPeer({ folder, genesis, gateway, signer, listen, others: other, begin, trusted: trust }, (level, message) => {
    // What is tried again and again is told once.
    if (message === said) return;
    said = message;
    const { noteStyle } = terminal;
    terminal.note(`${level === 'error' ? noteStyle.bad('✗') : level === 'warn' ? noteStyle.warn('!') : '·'} ${cleanText(message)}`);
  });
  const { height } = peer.status();
  const oldest = peer.oldest();
  const ready = { ready: 'ledger-peer', key: signer.publicKey, chain: peer.chain, height, oldest, url: peer.url ?? null };
  if (session.options.json) terminal.print(JSON.stringify(ready));
  else {
    const facts: [string, string][] = [
      ['follows', gateway],
      ['chain', peer.chain],
      ['co-signs as', signer.publicKey],
      ['height', oldest === 0 ? String(height) : `${height}, from a snapshot; the ${oldest} blocks before it are on their way`],
      ...(peer.url === undefined ? [] : [['serves', peer.url] as [string, string]]),
    ];
    terminal.print(
      `${terminal.style.good('✓')} The peer of ${cleanText(genesis.name)} is up.\n${renderFacts(facts, terminal.style, '  ')}`,
    );
  }
  await untilStopped(session.signal, stopWithParent ? terminal.streams.stdin : undefined);
  await peer.stop();
}

/** The super node to follow: of several that are known, one that answers now. */
async function answeringGateway(session: Session): Promise<string> {
  const orb = await session.orb();
  await orb.network().catch(() => undefined);
  return orb.url;
}

/** The genesis that the folder has, or the super node's if its hash is the one that is trusted. */
async function trustedGenesis(session: Session, folder: string, gateway: string, given: string | undefined): Promise<Genesis> {
  if (given !== undefined && !isHex32(given)) {
    throw new OrbError('invalid-request', { message: '--chain must have 64 lower-case hexadecimal digits.' });
  }
  const found = await genesisOfFolder(folder);
  const trusted = given ?? (found && chainId(found)) ?? (await readProfile(session.home)).chains[gateway];
  if (found && chainId(found) === trusted) return found;
  const { genesis, chain, name } = await (await session.orb()).network();
  if (trusted === undefined) {
    throw new OrbError('invalid-request', {
      message: `${gateway} serves the network ${cleanText(name)} with the chain ${chain}, which this computer does not know.`,
      hint: `Compare it with what its operator says, then: orb ledger peer start --folder ${folder} --chain ${chain}`,
    });
  }
  if (chain !== trusted) {
    throw new OrbError('wrong-chain', {
      message: `${gateway} serves the chain ${chain}, not ${trusted}.`,
      hint: 'Check --gateway and --chain.',
    });
  }
  return genesis;
}

/** Peers that the ledger lists are accounts; without one, the copy has a key of its own, whose word counts for nobody but itself. */
async function signerOf(session: Session, folder: string): Promise<Signer> {
  const { account } = session.options;
  if (account !== undefined) return (await session.keys.openAccount(account)).signer;
  return session.keys.openOrCreate(join(folder, 'peer.key.json'), { purpose: 'peer', name: 'ledger peer' });
}

async function showPeers(session: Session): Promise<void> {
  const orb = await session.orb();
  const [finality, refusals] = await Promise.all([orb.ledger.finality(), orb.ledger.refusals()]);
  if (!finality) throw new OrbError('not-supported', { message: `${orb.url} keeps no co-signatures.`, hint: 'Ask another super node.' });
  const names = new Map<string, string>();
  if (finality.source === 'ledger') {
    for (const { id } of finality.peers) names.set(id, (await orb.accounts.show(id).catch(() => undefined))?.name ?? '–');
  }
  session.result({ ...finality, refusals }, () => {
    const { style, width } = session.terminal;
    const refused = refusals.map(({ header, reason }): [string, string] => [
      'refused',
      style.bad(`block ${header.height} (${shortId(blockHash(header))}): ${cleanText(reason, { limit: 300 })}`),
    ]);
    const summary = renderFacts([['height', String(finality.head)], ['final', finalWords(finality, style)], ...refused], style);
    if (finality.peers.length === 0) {
      return `${summary}\n${style.quiet('The orderer alone vouches for this ledger. Its peers are listed with orb ledger vote --peers NAMES.')}`;
    }
    const rows = finality.peers.map(({ id, height, heardMs }) => [
      names.get(id) ?? shortId(id),
      height === null ? '–' : String(height),
      height === null ? '–' : String(finality.head - height),
      heardMs === null ? '–' : `${(heardMs / 1_000).toFixed(1)} s ago`,
      id,
    ]);
    const columns = [
      { title: 'peer' },
      { title: 'height', align: 'right' },
      { title: 'lag', align: 'right' },
      { title: 'heard', align: 'right' },
      { title: 'id', flexible: true },
    ] as const;
    return `${summary}\n\n${renderTable(columns, rows, style, width)}`;
  });
}
