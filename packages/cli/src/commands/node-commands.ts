import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { OrbError, isHex32, isolationTiers, limits, nodeId, type Hex32, type IsolationTier, type Signer } from '@orb/protocol';
import type { NodeStatus } from '@orb/node';
import { Option, type Command } from 'commander';
import { askNode, runNode } from '../compose.ts';
import { otherSuperNodes } from '../lending/other-super-nodes.ts';
import { registerNode } from '../lending/register-node.ts';
import type { Session } from '../session/session.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { formatMoney, formatUs, shortId } from '../terminal/format.ts';
import { renderFacts } from '../terminal/table.ts';
import { untilStopped } from '../up/until-stopped.ts';
import type { CommandContext } from './command-context.ts';
import { examineNode } from './node-doctor.ts';
import { baseUnits, cores, memory, wholeNumber } from './option-values.ts';
import { stopWithParentOption } from './supernode-commands.ts';

interface StartFlags {
  readonly folder?: string;
  readonly label: string;
  readonly superNodes: number;
  readonly super?: string;
  readonly superKey?: string;
  readonly chain?: string;
  readonly cores?: number;
  readonly memory?: number;
  readonly slots?: number;
  readonly price?: bigint;
  readonly minIsolation?: IsolationTier;
  readonly only?: readonly string[];
  readonly block?: readonly string[];
  readonly claimAfter?: number;
  readonly stopWithParent?: boolean;
}

/** `orb node …`: lend this computer, and see to it while it is lent. */
export function addNodeCommands(program: Command, context: CommandContext): void {
  const node = program.command('node').description('lend this computer and earn by the millisecond');
  node
    .command('start')
    .description('lend this computer; Ctrl-C stops it when the jobs under way are done')
    .addOption(
      new Option('--label <label>', 'name of this computer, for people').default(
        hostname()
          .replace(/[^\w .-]/g, '-')
          .slice(0, 63) || 'node',
        'its host name',
      ),
    )
    .option('--folder <folder>', 'where the node keeps its key, code and receipts (default: ORB_HOME/node)')
    .option(
      '--super-nodes <number>',
      'how many super nodes to work for: the gateway’s own, then others of the network',
      wholeNumber(1, 16),
      3,
    )
    .option('--super <url>', 'address of the super node’s links, wss://…; found through --gateway when left out')
    .option('--super-key <hex>', 'key that the super node must prove')
    .option('--chain <hex>', 'chain id of the network')
    .option('--cores <number>', 'how many cores to lend (default: all)', cores)
    .option('--memory <MiB>', 'how much memory to lend (default: half)', memory(limits.memoryMiB.min, 16_777_216))
    .option('--slots <number>', 'jobs at once', wholeNumber(1, 100_000))
    .option('--price <units>', `what to ask, base units per MiB·ms (default: ${limits.rate.default})`, baseUnits(limits.rate.max))
    .addOption(
      new Option('--min-isolation <tier>', 'do not start when this computer cannot isolate functions at least so').choices(isolationTiers),
    )
    .option('--only <accounts>', 'seed functions of these accounts alone: names or ids, with commas between', splitList)
    .option(
      '--claim-after <seconds>',
      'how long a super node may take to settle before this node brings its jobs to the ledger itself (default: 30)',
      wholeNumber(1, 86_400),
    )
    .option('--block <accounts>', 'seed no functions of these accounts', splitList)
    .addOption(stopWithParentOption())
    .action(async (flags: StartFlags, command: Command) => start(context.session(command), flags));
  node
    .command('doctor')
    .description('which walls stand around functions on this computer, and how to raise the missing ones')
    .action(async (_: unknown, command: Command) => examineNode(context.session(command)));
  const folder = ['--folder <folder>', 'the node’s folder (default: ORB_HOME/node)'] as const;
  node
    .command('status')
    .description('what the node on this computer is doing')
    .option(...folder)
    .action(async (flags: { folder?: string }, command: Command) => tell(context.session(command), flags.folder, { command: 'status' }));
  node
    .command('pause')
    .description('take no new jobs; running ones go on')
    .option(...folder)
    .action(async (flags: { folder?: string }, command: Command) => tell(context.session(command), flags.folder, { command: 'pause' }));
  node
    .command('resume')
    .description('take jobs again')
    .option(...folder)
    .action(async (flags: { folder?: string }, command: Command) => tell(context.session(command), flags.folder, { command: 'resume' }));
  node
    .command('stop')
    .description('finish the running jobs, then leave')
    .option(...folder)
    .action(async (flags: { folder?: string }, command: Command) => tell(context.session(command), flags.folder, { command: 'stop' }));
  node
    .command('set')
    .description('change what is lent, until the node stops')
    .option(...folder)
    .option('--slots <number>', 'jobs at once; 0 takes none', wholeNumber(0, 100_000))
    .option('--memory <MiB>', 'how much memory to lend', memory(limits.memoryMiB.min, 16_777_216))
    .option('--price <units>', 'what to ask, base units per MiB·ms', baseUnits(limits.rate.max))
    .action(async (flags: { folder?: string; slots?: number; memory?: number; price?: bigint }, command: Command) => {
      const { slots, memory: memoryMiB, price } = flags;
      await tell(context.session(command), flags.folder, {
        command: 'set',
        ...(slots !== undefined && { slots }),
        ...(memoryMiB !== undefined && { memoryMiB }),
        ...(price !== undefined && { rate: String(price) }),
      });
    });
}

function folderOf(session: Session, folder: string | undefined): string {
  return resolve(folder ?? join(session.home, 'node'));
}

async function start(session: Session, flags: StartFlags): Promise<void> {
  const dataFolder = folderOf(session, flags.folder);
  const signer = await session.keys.openOrCreate(join(dataFolder, 'node.key.json'), { purpose: 'node', name: flags.label });
  const network = await findNetwork(session, flags, signer, (orb, owner) => registerNode(orb, owner, signer, flags.label));
  const { cores, memory: memoryMiB, slots, price, minIsolation } = flags;
  const node = await runNode(
    {
      dataFolder,
      signer,
      chain: network.chain,
      label: flags.label,
      superNodes: [...network.superNodes],
      gateways: [...network.gateways],
      claims: { ...(flags.claimAfter !== undefined && { afterMs: flags.claimAfter * 1_000 }) },
      caps: { ...(cores !== undefined && { cores }), ...(memoryMiB !== undefined && { memoryMiB }), ...(slots !== undefined && { slots }) },
      ...(price !== undefined && { rate: String(price) }),
      policy: { ...(await seedPolicy(session, flags)), ...(minIsolation !== undefined && { minIsolation }) },
    },
    (level, message) => session.terminal.note(`${level === 'warn' ? session.terminal.noteStyle.warn('!') : '·'} ${cleanText(message)}`),
  );
  if (session.options.json) session.terminal.print(JSON.stringify({ ready: 'node', id: node.id, status: node.status() }));
  else session.terminal.print(describeNode(node.status(), session));
  await Promise.race([untilStopped(session.signal, flags.stopWithParent ? session.terminal.streams.stdin : undefined), node.ended]);
  await node.drain();
  await node.stop();
}

function splitList(text: string): readonly string[] {
  return text.split(',').map((part) => part.trim());
}

/** Accounts by name or id → the node's rules. @throws OrbError `unknown-account` */
async function seedPolicy(session: Session, { only, block }: StartFlags) {
  const ids = async (names: readonly string[]) => {
    const orb = await session.orb();
    return Promise.all(names.map(async (name) => (isHex32(name) ? name : (await orb.accounts.show(name)).id)));
  };
  return {
    ...(only && { accept: 'listed' as const, allow: await ids(only) }),
    ...(block && { block: await ids(block) }),
  };
}

/** Super nodes of the network that are remembered as ways to the ledger. */
const ledgerGateways = 16;

interface WorkPlace {
  readonly chain: Hex32;
  readonly superNodes: readonly { readonly address: string; readonly key: Hex32; readonly gateway?: string }[];
  /** Where the ledger can be reached. */
  readonly gateways: readonly string[];
}

type Certify = (
  orb: Awaited<ReturnType<Session['orbAs']>>['orb'],
  owner: Awaited<ReturnType<Session['orbAs']>>['owner'],
) => Promise<boolean>;

/** The super nodes to dial: as given in full, else as gateway and ledger name them. A new node's key is certified on the ledger first. */
async function findNetwork(
  session: Session,
  { super: address, superKey: key, chain, superNodes: wanted }: StartFlags,
  node: Signer,
  certify: Certify,
): Promise<WorkPlace> {
  const given = [address, key, chain].filter((value) => value !== undefined).length;
  if (given === 3) {
    if (!isHex32(key) || !isHex32(chain))
      throw new OrbError('invalid-request', { message: '--super-key and --chain have 64 hexadecimal digits each.' });
    // Through a gateway the key can be certified; without one it must stand on the ledger already.
    if (session.options.gateway !== undefined) await session.orbAs().then(({ orb, owner }) => certify(orb, owner));
    return {
      chain,
      superNodes: [{ address: address!, key }],
      gateways: session.options.gateway === undefined ? [] : await session.gateways(),
    };
  }
  if (given > 0)
    throw new OrbError('invalid-request', {
      message: '--super, --super-key and --chain belong together.',
      hint: 'Give all three, or --gateway alone.',
    });
  const { orb, owner } = await session.orbAs();
  const { superNode, chain: found } = await orb.network();
  if (superNode.address === undefined || superNode.key === undefined) {
    throw new OrbError('not-found', {
      message: 'The super node is not registered on its ledger yet.',
      hint: 'Its operator runs: orb supernode register',
    });
  }
  await certify(orb, owner);
  const others = await otherSuperNodes(orb, superNode.id, nodeId(node.publicKey));
  const own = { address: superNode.address, key: superNode.key, ...(superNode.gateway !== undefined && { gateway: superNode.gateway }) };
  const superNodes = [own, ...others.map((other) => ({ address: other.address, key: other.key, gateway: other.gateway }))];
  const gateways = [...(await session.gateways()), ...others.slice(0, ledgerGateways).map(({ gateway }) => gateway)];
  return { chain: found, superNodes: superNodes.slice(0, wanted), gateways };
}

async function tell(session: Session, folder: string | undefined, request: Parameters<typeof askNode>[1]): Promise<void> {
  const status = await askNode(folderOf(session, folder), request);
  session.result(status, () => (request.command === 'stop' ? describeStop(status, session) : describeNode(status, session)));
}

function describeStop({ label, running }: NodeStatus, { terminal: { style } }: Session): string {
  const first = running === 0 ? '' : ` after the ${running === 1 ? 'job' : `${running} jobs`} under way`;
  return `${style.good('✓')} ${style.strong(cleanText(label))} leaves${first}.`;
}

function describeTally({ done, outcomes, refusals, askedUnits }: NodeStatus['jobs']): string {
  const counts = [
    ...Object.entries(outcomes),
    ...Object.entries(refusals).map(([reason, count]) => [`refused: ${reason}`, count] as const),
  ];
  const details = counts.map(([name, count]) => `${name} ${count}`).join(', ');
  return `${done} jobs${details && ` (${details})`}, worth ${formatMoney(askedUnits)}`;
}

function describeClaims({ claimed, settled, unpaid, open }: NodeStatus['claims']): [string, string][] {
  if (claimed + settled + unpaid + open === 0) return [];
  return [['claims', `${claimed} jobs brought to the ledger, ${open} under way, ${unpaid} stay unpaid`]];
}

function describeNode(status: NodeStatus, { terminal: { style } }: Session): string {
  const { offer, jobs } = status;
  const state = { lending: style.good, paused: style.warn, stopping: style.warn }[status.state](status.state);
  const links = status.superNodes.map(({ address, linked, rttMs, lastError, unsettled }) => {
    const words = linked
      ? style.good(`linked${rttMs === undefined ? '' : `, ${rttMs.toFixed(1)} ms`}`)
      : style.warn(`not linked${lastError ? `: ${cleanText(lastError)}` : ''}`);
    return `${cleanText(address)} ${words}${unsettled > 0 ? style.quiet(`, ${unsettled} receipts wait for payment`) : ''}`;
  });
  return [
    `${style.strong(cleanText(status.label))} ${state} ${style.quiet(shortId(status.id))} ${style.quiet(`up ${formatUs(status.upMs * 1_000)}`)}`,
    renderFacts(
      [
        [
          'offers',
          `${offer.cores} cores, ${offer.memoryMiB} MiB, ${offer.slots} slots, ${offer.rate} units per MiB·ms, isolation: ${offer.isolation}`,
        ],
        ['running', `${status.running} jobs, ${status.busyMiB} MiB`],
        ['done', describeTally(jobs)],
        ...describeClaims(status.claims),
        ['holds', status.versions.length === 0 ? 'no function yet' : status.versions.map(({ name }) => cleanText(name)).join(', ')],
        ...links.map((text) => ['super node', text] as const),
      ],
      style,
      '  ',
    ),
  ].join('\n');
}
