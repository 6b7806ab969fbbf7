import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import {
  OrbError,
  blockHash,
  checkEpochs,
  checkOrdererChange,
  decidingPeers,
  accountId,
  isOrbError,
  signOrder,
  signOrdererChange,
  type CheckedChange,
  type Epoch,
  type OrdererCertificate,
  type Signer,
  type SuperNodeRecord,
} from '@orb/protocol';
import { Orb, type OrdererStanding } from '@orb/sdk';
import { openNetworkFolder } from '../compose.ts';
import type { Session } from '../session/session.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { shortId } from '../terminal/format.ts';
import type { Style } from '../terminal/style.ts';
import { renderFacts, renderTable } from '../terminal/table.ts';
import type { CommandContext } from './command-context.ts';
import { wholeNumber } from './option-values.ts';
import { mergeChanges, readChangeFile, writeChangeFile } from './orderer-file.ts';

/** How long the new orderer may take to begin. */
const beginMs = 60_000;
/** How long a proposal waits for this copy to catch up with the other peers. */
const catchUpMs = 10_000;
const lookMs = 200;

const example = `
Example: the orderer is gone, and carol's super node is to take its place
  orb ledger orderer propose change.json --to https://carol.example:7080
  orb ledger orderer sign change.json --account ann --gateway https://ann.example:7080    (each peer's operator, with his own)
  orb ledger orderer change change.json

Where the orderer is still there, it stops first: orb ledger orderer halt --account OWNER --gateway ITS-ADDRESS`;

/** `orb ledger orderer …`: who orders the ledger, and the change to another. */
export function addOrdererCommands(ledger: Command, context: CommandContext): void {
  const orderer = ledger.command('orderer').description('who orders the ledger, and the change to another').addHelpText('after', example);
  orderer
    .command('show', { isDefault: true })
    .description('who orders now and who did before, and how each super node stands to it')
    .action(async (_: unknown, command: Command) => show(context.session(command)));
  orderer
    .command('halt')
    .description(
      'the super node or peer at --gateway, which is that of --account, signs nothing more of this epoch; an orderer makes no more blocks',
    )
    .option('--epoch <number>', 'of the change that is to come (default: the next one)', wholeNumber(2, Number.MAX_SAFE_INTEGER))
    .action(async ({ epoch }: { epoch?: number }, command: Command) => halt(context.session(command), epoch));
  orderer
    .command('propose')
    .description('write a change of the orderer to a file, for the peers to sign; it begins after the last block of the copy at --gateway')
    .argument('<file>', 'where to')
    .requiredOption('--to <super-node>', 'the new orderer: gateway or id of a super node on the ledger')
    .option('--epoch <number>', 'of the new orderer (default: the next one)', wholeNumber(2, Number.MAX_SAFE_INTEGER))
    .action(async (file: string, flags: ProposeFlags, command: Command) => propose(context.session(command), file, flags));
  orderer
    .command('sign')
    .description(
      'have the super node or peer at --gateway, which is that of --account, sign a change; it then signs nothing more of the epoch before',
    )
    .argument('<file>', 'as orb ledger orderer propose has written it; the signature is added to it')
    .option('--treasury <folder>', 'where the ledger lists no peers: sign as the treasury, whose key is in this super node’s folder')
    .action(async (file: string, flags: { treasury?: string }, command: Command) => sign(context.session(command), file, flags.treasury));
  orderer
    .command('change')
    .description('hand a change that enough have signed to the new orderer, and wait until it has begun')
    .argument('<files...>', 'the file that all have signed, or one of each who has')
    .action(async (files: string[], _: unknown, command: Command) => change(context.session(command), files));
}

interface ProposeFlags {
  readonly to: string;
  readonly epoch?: number;
}

/** A super node on the ledger, as it stands where it answers. */
interface Member extends Pick<SuperNodeRecord, 'id' | 'key' | 'account' | 'gateway'> {
  readonly standing: OrdererStanding | undefined;
}

async function show(session: Session): Promise<void> {
  const orb = await session.orb();
  const [standing, epochs, members] = await Promise.all([standingOf(orb), epochsOf(orb), membersOf(orb)]);
  const result = { ...standing, epochs, superNodes: members };
  session.result(result, () => {
    const { style, width } = session.terminal;
    const [, ...changes] = epochs;
    const facts: [string, string][] = [
      ['epoch', `${standing.epoch}, since block ${standing.since}`],
      ['orderer', `${standing.key}${standing.gateway === null ? '' : ` at ${cleanText(standing.gateway)}`}`],
      ...changes.map((one): [string, string] => [`epoch ${one.epoch}`, changeWords(one, style)]),
    ];
    const rows = members.map(({ id, gateway, standing: its }) => [
      shortId(id),
      cleanText(gateway),
      its ? String(its.epoch) : '–',
      its ? String(its.head.height) : '–',
      its?.cosigner?.last ? String(its.cosigner.last.height) : '–',
      stateWords(its, style),
    ]);
    const columns = [
      { title: 'super node' },
      { title: 'gateway', flexible: true },
      { title: 'epoch', align: 'right' },
      { title: 'height', align: 'right' },
      { title: 'co-signed', align: 'right' },
      { title: 'state' },
    ] as const;
    return `${renderFacts(facts, style)}${rows.length > 0 ? `\n\n${renderTable(columns, rows, style, width)}` : ''}`;
  });
}

function changeWords({ since, by, signed, of, planned, key }: CheckedChange, style: Style): string {
  const who = by === 'treasury' ? style.warn('by the treasury alone') : `by ${signed} of ${of} peers`;
  return `from block ${since}, ${who}${planned ? ', planned: the orderer before had stopped' : ''}; ${shortId(key)}`;
}

function stateWords(standing: OrdererStanding | undefined, style: Style): string {
  if (!standing) return style.warn('does not answer');
  if (standing.halted) return 'has stopped ordering';
  if (standing.ordering) return style.good('orders');
  const { left } = standing.cosigner ?? {};
  return left && left.epoch > standing.epoch ? `for a change from block ${left.height}` : 'follows';
}

async function halt(session: Session, given: number | undefined): Promise<void> {
  const { orb, owner, name } = await session.orbAs();
  const standing = await standingOf(orb);
  const epoch = given ?? standing.epoch + 1;
  const after = await orb.ledger.haltOrderer(
    signOrder({ v: 1, chain: (await orb.network()).chain, peer: peerKey(orb, standing), epoch, change: null }, owner.signer),
  );
  session.result(after, () => {
    const { style } = session.terminal;
    const what = standing.ordering ? 'makes no more blocks, and signs' : 'signs';
    return `${style.good('✓')} The peer of ${name} ${what} nothing more of an epoch before ${epoch}. It stands at block ${after.head.height}.`;
  });
}

async function propose(session: Session, path: string, { to, epoch: given }: ProposeFlags): Promise<void> {
  const orb = await session.orb();
  const { chain, parameters, genesis } = await orb.network();
  const deciding = decidingPeers(parameters, accountId(genesis.treasuryKey));
  const all = await membersOf(orb);
  const target = superNodeNamed(all, to);
  const behind = await caughtUp(
    orb,
    all.filter(({ account }) => deciding.includes(account)),
  );
  const stand = await standing(orb);
  const epoch = given ?? stand.header.epoch + 1;
  const proposed = {
    v: 1 as const,
    chain,
    epoch,
    height: stand.header.height + 1,
    previous: blockHash(stand.header),
    key: target.key,
    gateway: target.gateway,
  };
  await writeChangeFile(path, { change: proposed, stand, votes: [] });
  const running = all.find((member) => member.standing?.ordering && !member.standing.halted);
  session.result({ file: path, change: proposed, deciding, running: running?.gateway ?? null, ahead: behind }, () => {
    const { style } = session.terminal;
    const lines = [
      `${style.good('✓')} ${style.strong(path)}: from block ${proposed.height} on ${target.gateway} orders, in epoch ${epoch}.`,
      `  Each peer’s operator signs it: orb ledger orderer sign ${path} --account NAME --gateway THE-PEER`,
    ];
    if (parameters.peers === undefined || parameters.peers.length === 0) {
      lines[1] = `  The treasury signs it: orb ledger orderer sign ${path} --treasury FOLDER`;
    }
    if (running) {
      lines.push(
        `  ${style.warn(`The orderer at ${running.gateway} still makes blocks: those above block ${proposed.height - 1} would be given up.`)}`,
      );
      lines.push('  Have it stop first: orb ledger orderer halt; or, if its owner will not, have the peers stop, and propose again.');
    }
    for (const { gateway, height } of behind)
      lines.push(`  ${style.warn(`${gateway} says that it has co-signed block ${height}: it will not sign this.`)}`);
    return lines.join('\n');
  });
}

/** Waits until a copy has all that other peers say they have co-signed. @returns those who are ahead all the same */
async function caughtUp(orb: Orb, peers: readonly Member[]): Promise<{ gateway: string; height: number }[]> {
  const signed = peers.flatMap(({ gateway, standing: its }) =>
    its?.cosigner?.last ? [{ gateway, height: its.cosigner.last.height }] : [],
  );
  for (const until = Date.now() + catchUpMs; ; await sleep(lookMs)) {
    const { head } = await standingOf(orb);
    const ahead = signed.filter(({ height }) => height > head.height);
    if (ahead.length === 0 || Date.now() > until) return ahead;
  }
}

/** Where the copy stands, between two blocks. */
async function standing(orb: Orb): Promise<OrdererCertificate['stand']> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await orb.ledger.ordererStand();
    } catch (error) {
      if (attempt >= 50 || !isOrbError(error) || error.code !== 'ledger-unavailable') throw error;
      await sleep(lookMs / 4);
    }
  }
}

async function sign(session: Session, path: string, treasury: string | undefined): Promise<void> {
  const file = await readChangeFile(path);
  const { orb, votes, name } = await (treasury === undefined ? signAsPeer(session, file) : signAsTreasury(session, file, treasury));
  const signed = mergeVotes(file, votes);
  await writeChangeFile(path, signed);
  const found = await judge(orb, signed);
  const complete = !('missing' in found);
  session.result(
    { file: path, signed: votes.map(({ key }) => key), votes: signed.votes.length, complete, missing: complete ? null : found.missing },
    () => {
      const { style } = session.terminal;
      const outcome = complete ? `Enough have signed: orb ledger orderer change ${path}` : found.missing;
      return `${style.good('✓')} ${name} has signed. ${outcome}`;
    },
  );
}

async function signAsPeer(session: Session, { change: proposed }: OrdererCertificate) {
  const { orb, owner, name } = await session.orbAs();
  const { chain } = await orb.network();
  if (chain !== proposed.chain)
    throw new OrbError('wrong-chain', { message: `The change is of another network than ${orb.url}.`, hint: 'Check --gateway.' });
  const order = signOrder(
    { v: 1, chain, peer: peerKey(orb, await standingOf(orb)), epoch: proposed.epoch, change: proposed },
    owner.signer,
  );
  return { orb, votes: await orb.ledger.signOrdererChange(order), name: `The peer of ${name}` };
}

async function signAsTreasury(session: Session, { change: proposed }: OrdererCertificate, folder: string) {
  const key: Signer | undefined = (await openNetworkFolder(folder)).treasury;
  if (!key) throw new OrbError('invalid-request', { message: `The folder ${folder} does not hold the key of a treasury.` });
  return { orb: await session.orb(), votes: [{ key: key.publicKey, signature: signOrdererChange(proposed, key) }], name: 'The treasury' };
}

function mergeVotes(file: OrdererCertificate, votes: OrdererCertificate['votes']): OrdererCertificate {
  return { ...file, votes: [...file.votes.filter(({ key }) => !votes.some((vote) => vote.key === key)), ...votes] };
}

async function change(session: Session, paths: readonly string[]): Promise<void> {
  const certificate = mergeChanges(await Promise.all(paths.map(readChangeFile)));
  const { epoch, gateway, height } = certificate.change;
  const found = await judge(await session.orb(), certificate);
  if ('missing' in found)
    throw new OrbError('bad-signature', {
      message: found.missing,
      hint: `Have it signed: orb ledger orderer sign ${paths[0]} --account NAME --gateway THE-PEER`,
    });
  const orb = await session.at(gateway).orb();
  session.progress.step('The new orderer begins');
  const begun = await begin(orb, certificate).catch((error: unknown) => {
    session.progress.fail();
    throw error;
  });
  session.progress.done('The new orderer has begun');
  session.result(
    { epoch, gateway, height, by: found.by, signed: found.signed, of: found.of, planned: found.planned, standing: begun },
    () => {
      const { style } = session.terminal;
      return `${style.good('✓')} ${cleanText(gateway)} orders the ledger from block ${height} on, in epoch ${epoch}: ${changeWords(found, style)}.`;
    },
  );
}

/** Hands it over as often as it takes: the new orderer may have to catch up first, and starts again in between. */
async function begin(orb: Orb, certificate: OrdererCertificate): Promise<OrdererStanding> {
  let last: unknown;
  for (const until = Date.now() + beginMs; Date.now() < until; await sleep(lookMs)) {
    try {
      const its = await standingOf(orb);
      if (its.epoch === certificate.change.epoch && its.ordering) return its;
      await orb.ledger.changeOrderer(certificate);
    } catch (error) {
      if (!isOrbError(error) || !error.retryable) throw error;
      last = error;
    }
  }
  throw new OrbError('ledger-unavailable', {
    message: `The new orderer has not begun in ${beginMs / 1_000} s${isOrbError(last) ? `: ${last.message}` : '.'}`,
    hint: 'Look at its log, and give the same command again: a change counts once.',
  });
}

/** What a change says by now, or what it lacks. */
async function judge(orb: Orb, certificate: OrdererCertificate): Promise<CheckedChange | { readonly missing: string }> {
  const { chain, genesis } = await orb.network();
  const epochs = await epochsOf(orb);
  const before: Epoch | undefined = epochs.find(({ epoch }) => epoch === certificate.stand.header.epoch);
  if (!before) throw new OrbError('conflict', { message: 'The change follows an epoch that this ledger does not have.' });
  try {
    return checkOrdererChange(certificate, before, { chain, treasuryKey: genesis.treasuryKey });
  } catch (error) {
    if (!isOrbError(error) || error.code !== 'bad-signature') throw error;
    return { missing: error.message };
  }
}

async function epochsOf(orb: Orb): Promise<readonly [Epoch, ...CheckedChange[]]> {
  const { chain, genesis } = await orb.network();
  return checkEpochs(genesis, chain, await orb.ledger.ordererChanges());
}

async function membersOf(orb: Orb): Promise<readonly Member[]> {
  const members: SuperNodeRecord[] = [];
  for await (const { value } of orb.ledger.range('super-node/', 1_000)) members.push(value as unknown as SuperNodeRecord);
  return Promise.all(
    members.map(async ({ id, key, account, gateway }) => ({
      id,
      key,
      account,
      gateway,
      standing: await new Orb({ url: gateway, timeoutMs: 3_000 }).ledger.orderer().catch(() => undefined),
    })),
  );
}

function superNodeNamed(all: readonly Member[], name: string): Member {
  const url = name.replace(/\/+$/, '');
  const found = all.filter(({ id, gateway }) => gateway.replace(/\/+$/, '') === url || (name.length >= 6 && id.startsWith(name)));
  if (found.length === 1) return found[0]!;
  throw new OrbError('not-found', {
    message: `${found.length === 0 ? 'No' : 'More than one'} super node on the ledger has the gateway or id ${cleanText(name)}.`,
    hint: `There are: ${all.map(({ id, gateway }) => `${shortId(id)} at ${cleanText(gateway)}`).join(', ') || 'none'}.`,
  });
}

async function standingOf(orb: Orb): Promise<OrdererStanding> {
  const found = await orb.ledger.orderer();
  if (found) return found;
  throw new OrbError('not-supported', { message: `${orb.url} is of a version that cannot change the orderer.`, hint: 'Upgrade it first.' });
}

function peerKey(orb: Orb, { cosigner }: OrdererStanding): string {
  if (cosigner) return cosigner.key;
  throw new OrbError('not-supported', {
    message: `${orb.url} co-signs nothing.`,
    hint: 'Give --gateway with the address of your own peer.',
  });
}
