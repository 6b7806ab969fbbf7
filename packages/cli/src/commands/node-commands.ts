import { hostname } from 'node:os';
import { join } from 'node:path';
import { OrbError, isHex32, isolationTiers, limits, nodeId, type Hex32, type IsolationTier, type Signer } from '@orb/protocol';
import type { NodeConfig, NodeStatus } from '@orb/node';
import { Option, type Command } from 'commander';
import { askNode, runNode } from '../compose.ts';
import { describeLeaving, describePaused, describeResumed } from '../lending/describe-lending.ts';
import { describeNode } from '../lending/describe-node.ts';
import { parseSettings } from '../lending/node-settings.ts';
import { otherSuperNodes } from '../lending/other-super-nodes.ts';
import { registerNode } from '../lending/register-node.ts';
import type { Session } from '../session/session.ts';
import type { Style } from '../terminal/style.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { untilStopped } from '../up/until-stopped.ts';
import type { CommandContext } from './command-context.ts';
import { examineNode } from './node-doctor.ts';
import { accountIdOf, addNodeSettingsCommands, folderOf, withFolder, type FolderFlags } from './node-settings-commands.ts';
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
  readonly only?: string;
  readonly block?: string;
  readonly set: readonly string[];
  readonly engineSocket?: string;
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
    .option('--only <accounts>', 'seed functions of these accounts alone: names or ids, with commas between')
    .option('--block <accounts>', 'seed no functions of these accounts')
    .option('--set <key=value>', 'any setting of orb node show, for this run; may be given more than once', collect, [])
    .option(
      '--engine-socket <path>',
      'socket of the Docker Engine for container images (default: DOCKER_HOST, else where Docker and podman listen)',
    )
    .option(
      '--claim-after <seconds>',
      'how long a super node may take to settle before this node brings its jobs to the ledger itself (default: 30)',
      wholeNumber(1, 86_400),
    )
    .addOption(stopWithParentOption())
    .action(async (flags: StartFlags, command: Command) => start(context.session(command), flags));
  node
    .command('doctor')
    .description('which walls stand around functions on this computer, and how to raise the missing ones')
    .option('--container-runtime <name>', 'try container images in this runtime of the engine, such as runsc')
    .action(async (flags: { containerRuntime?: string }, command: Command) => examineNode(context.session(command), flags));
  const tellCommand = (name: string, description: string, request: Parameters<typeof askNode>[1]) =>
    withFolder(node.command(name).description(description)).action(async (flags: FolderFlags, command: Command) =>
      tell(context.session(command), flags.folder, request),
    );
  tellCommand('status', 'what the node on this computer is doing', { command: 'status' });
  withFolder(node.command('pause').description('take no new jobs; running ones finish, or what the setting running-jobs says'))
    .option('--now', 'give the running jobs back at once, for others to run')
    .action(async ({ folder, now }: FolderFlags & { now?: boolean }, command: Command) =>
      tell(context.session(command), folder, { command: 'pause', ...(now && { handBack: true }) }),
    );
  tellCommand('resume', 'take jobs again', { command: 'resume' });
  tellCommand('stop', 'finish the running jobs, then leave', { command: 'stop' });
  addNodeSettingsCommands(node, context);
}

async function start(session: Session, flags: StartFlags): Promise<void> {
  const dataFolder = folderOf(session, flags.folder);
  const settings = await settingsOf(session, flags);
  const signer = await session.keys.openOrCreate(join(dataFolder, 'node.key.json'), { purpose: 'node', name: flags.label });
  const network = await findNetwork(session, flags, signer, (orb, owner) => registerNode(orb, owner, signer, flags.label));
  const node = await runNode(
    {
      dataFolder,
      signer,
      unsealer: signer,
      chain: network.chain,
      label: flags.label,
      superNodes: [...network.superNodes],
      gateways: [...network.gateways],
      claims: { ...(flags.claimAfter !== undefined && { afterMs: flags.claimAfter * 1_000 }) },
      ...(network.owner !== undefined && { owner: network.owner }),
      ...(flags.engineSocket !== undefined && { engineSocket: flags.engineSocket }),
      settings,
    },
    (level, message) => session.terminal.note(`${level === 'warn' ? session.terminal.noteStyle.warn('!') : '·'} ${cleanText(message)}`),
  );
  if (session.options.json) session.terminal.print(JSON.stringify({ ready: 'node', id: node.id, status: node.status() }));
  else session.terminal.print(describeNode(node.status(), session.terminal.style, Date.now()));
  await Promise.race([untilStopped(session.signal, flags.stopWithParent ? session.terminal.streams.stdin : undefined), node.ended]);
  await node.drain();
  await node.stop();
}

function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

/** What the command line says, as settings for this run. @throws OrbError `invalid-request`, `unknown-account` */
async function settingsOf(session: Session, flags: StartFlags): Promise<NonNullable<NodeConfig['settings']>> {
  const { cores, memory: memoryMiB, slots, price, minIsolation, only, block } = flags;
  const words = [...(only === undefined ? [] : ['accept', 'listed', 'allow', only]), ...(block === undefined ? [] : ['block', block])];
  for (const text of flags.set) {
    const at = text.indexOf('=');
    words.push(at < 0 ? text : text.slice(0, at), at < 0 ? '' : text.slice(at + 1));
  }
  const said = words.length === 0 ? {} : await parseSettings(words, accountIdOf(session));
  return {
    ...Object.fromEntries(Object.entries(said).filter(([, value]) => value !== null)),
    ...(cores !== undefined && { cores }),
    ...(memoryMiB !== undefined && { memoryMiB }),
    ...(slots !== undefined && { slots }),
    ...(price !== undefined && { price: String(price) }),
    ...(minIsolation !== undefined && { minIsolation }),
  };
}

/** Super nodes of the network that are remembered as ways to the ledger. */
const ledgerGateways = 16;

interface WorkPlace {
  readonly chain: Hex32;
  readonly superNodes: readonly { readonly address: string; readonly key: Hex32; readonly gateway?: string }[];
  /** Where the ledger can be reached. */
  readonly gateways: readonly string[];
  /** Account that lends this computer, where it is known. */
  readonly owner?: Hex32;
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
    const lender = session.options.gateway === undefined ? undefined : await session.orbAs();
    if (lender) await certify(lender.orb, lender.owner);
    return {
      chain,
      superNodes: [{ address: address!, key }],
      gateways: lender ? await session.gateways() : [],
      ...(lender && { owner: lender.owner.id }),
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
  return { chain: found, superNodes: superNodes.slice(0, wanted), gateways, owner: owner.id };
}

async function tell(session: Session, folder: string | undefined, request: Parameters<typeof askNode>[1]): Promise<void> {
  const status = await askNode(folderOf(session, folder), request);
  session.result(status, () => describeAnswer(request, status, session.terminal.style));
}

function describeAnswer(request: Parameters<typeof askNode>[1], status: NodeStatus, style: Style): string {
  switch (request.command) {
    case 'pause':
      return describePaused(status, request.handBack === true, style);
    case 'resume':
      return describeResumed(status, style);
    case 'stop':
      return describeLeaving(status, style);
    default:
      return describeNode(status, style, Date.now());
  }
}
