import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { OrbError, chainId, superNodeId } from '@orb/protocol';
import { Orb } from '@orb/sdk';
import { registerSuperNode } from '../lending/register-super-node.ts';
import { joinNetwork, makeNetwork, openNetworkFolder, parseSuperNodeConfig, runSuperNode } from '../compose.ts';
import type { Session } from '../session/session.ts';
import { formatMoney, shortId } from '../terminal/format.ts';
import { renderFacts } from '../terminal/table.ts';
import { untilStopped } from '../up/until-stopped.ts';
import type { CommandContext } from './command-context.ts';
import { credits } from './option-values.ts';

interface InitFlags {
  readonly name?: string;
  readonly main?: boolean;
  readonly listen: string;
  readonly links: string;
  readonly join?: string;
  readonly chain?: string;
}

interface StartFlags {
  readonly config: string;
  readonly stopWithParent?: boolean;
}

/** `orb supernode …`: run the public host of a network. */
export function addSupernodeCommands(program: Command, context: CommandContext): void {
  const supernode = program.command('supernode').description('run a super node: gateway, scheduler, ledger');
  supernode
    .command('init')
    .description('make a new network, or one more super node for one that exists: keys, genesis, a configuration to edit')
    .argument('<folder>', 'an empty folder')
    .option('--name <name>', 'name of the new network')
    .option('--main', 'real money: no faucet (default: a test network)')
    .option('--listen <host:port>', 'where callers are heard', '127.0.0.1:7080')
    .option('--links <host:port>', 'where nodes are heard', '127.0.0.1:7443')
    .addOption(new Option('--join <url>', 'gateway of a super node of the network to join').conflicts(['name', 'main']))
    .option('--chain <hex>', 'with --join: the network that is meant; any other is refused')
    .action(async (folder: string, flags: InitFlags, command: Command) => init(context.session(command), folder, flags));
  supernode
    .command('start')
    .description('start a super node; it stops on Ctrl-C, after the calls that are running')
    .requiredOption('--config <file>', 'its configuration, as orb supernode init makes it')
    .addOption(stopWithParentOption())
    .action(async (flags: StartFlags, command: Command) => start(context.session(command), flags));
  supernode
    .command('register')
    .description('put a running super node and its bond on the ledger; again after its address has changed')
    .requiredOption('--config <file>', 'its configuration')
    .option('--bond <credits>', 'bond, which answers for what it issues (default: the smallest allowed)', credits)
    .requiredOption('--address <url>', 'where nodes dial: wss://…')
    .action(async (flags: StartFlags & { address: string; bond?: bigint }, command: Command) => register(context.session(command), flags));
}

/** For `orb up`: ends when the process that started it has gone, however it went. */
export function stopWithParentOption(): Option {
  return new Option('--stop-with-parent', 'stop when standard input closes').hideHelp();
}

async function init(session: Session, folder: string, flags: InitFlags): Promise<void> {
  if (flags.join !== undefined) return initJoined(session, folder, flags, flags.join);
  const { name, main } = flags;
  if (name === undefined) {
    throw new OrbError('invalid-request', {
      message: 'A new network needs a name.',
      hint: 'Give --name NAME, or --join URL for a super node of a network that exists.',
    });
  }
  const path = resolve(folder);
  const addresses = await checkAddresses(flags);
  const genesis = await makeNetwork({ folder: path, name, network: main ? 'main' : 'test' });
  const config = await writeConfig(path, addresses);
  session.result({ folder: path, config, chain: chainId(genesis) }, () => {
    const { style } = session.terminal;
    return [
      `${style.good('✓')} Network ${style.strong(name)} is made.`,
      renderFacts(
        [
          ['chain', chainId(genesis)],
          ['folder', path],
          ['configuration', config],
        ],
        style,
        '  ',
      ),
      style.quiet('  Back up the folder: its keys sign the blocks and make the money.'),
      `  Start it: orb supernode start --config ${config}`,
    ].join('\n');
  });
}

/** Wrong addresses are said before any key is made. */
async function checkAddresses({ listen, links }: InitFlags) {
  const addresses = { gateway: { listen }, links: { listen: links } };
  await parseSuperNodeConfig({ folder: '.', ...addresses });
  return addresses;
}

/** The genesis comes from the super node that is named: its hash is the chain id, which people compare. */
async function initJoined(session: Session, folder: string, flags: InitFlags, url: string): Promise<void> {
  const path = resolve(folder);
  const { chain } = flags;
  const addresses = await checkAddresses(flags);
  const { genesis, chain: found } = await new Orb({ url, ...(chain !== undefined && { chain }) }).network();
  await joinNetwork({ folder: path, genesis });
  const config = await writeConfig(path, { ...addresses, ledger: { mode: 'replica', upstream: url } });
  session.result({ folder: path, config, chain: found, upstream: url }, () => {
    const { style } = session.terminal;
    return [
      `${style.good('✓')} A super node for the network ${style.strong(genesis.name)} is made.`,
      renderFacts(
        [
          ['chain', found],
          ['folder', path],
          ['configuration', config],
          ['follows', url],
        ],
        style,
        '  ',
      ),
      style.quiet('  Compare the chain with what the network’s people say: whoever answers at the address named it.'),
      `  Start it: orb supernode start --config ${config}, then register it: orb supernode register`,
    ].join('\n');
  });
}

async function writeConfig(path: string, more: object): Promise<string> {
  const config = join(path, 'super-node.json');
  const content = { folder: '.', ...more };
  await writeFile(config, `${JSON.stringify(content, null, 2)}\n`, { flag: 'wx' });
  return config;
}

/** @throws OrbError `invalid-request` when it cannot be read or is wrong */
async function readConfig(file: string) {
  const path = resolve(file);
  let value: { folder?: unknown };
  try {
    value = JSON.parse(await readFile(path, 'utf8')) as { folder?: unknown };
  } catch (cause) {
    throw new OrbError('invalid-request', {
      message: `${file} cannot be read as JSON: ${(cause as Error).message}`,
      hint: 'Make one: orb supernode init FOLDER --name NAME',
      cause,
    });
  }
  const config = await parseSuperNodeConfig(value);
  return { ...config, folder: resolve(dirname(path), config.folder) };
}

async function start(session: Session, { config: file, stopWithParent }: StartFlags): Promise<void> {
  const config = await readConfig(file);
  await mkdir(config.folder, { recursive: true });
  const running = await runSuperNode(config, (line) => void session.terminal.streams.stderr.write(line));
  const { id, key, chain, gatewayUrl, linkAddress } = running;
  const { style } = session.terminal;
  const ready = { ready: 'super-node', id, key, chain, gateway: gatewayUrl, address: linkAddress };
  if (session.options.json) session.terminal.print(JSON.stringify(ready));
  else
    session.terminal.print(
      `${style.good('✓')} Super node ${shortId(id)} is up.\n${renderFacts(
        [
          ['callers', gatewayUrl],
          ['nodes', linkAddress],
          ['key', key],
          ['chain', chain],
        ],
        style,
        '  ',
      )}`,
    );
  await untilStopped(session.signal, stopWithParent ? session.terminal.streams.stdin : undefined);
  await running.stop();
}

async function register(session: Session, flags: StartFlags & { address: string; bond?: bigint }): Promise<void> {
  const { folder } = await readConfig(flags.config);
  const { superNode } = await openNetworkFolder(folder);
  const { orb, owner, name } = await session.orbAs();
  const { parameters } = await orb.network();
  const bond = flags.bond ?? BigInt(parameters.minBond);
  await registerSuperNode(orb, owner, { superNode, address: flags.address, gateway: orb.url, bond });
  session.result(
    { superNode: superNodeId(superNode.publicKey), account: name, bondUnits: bond },
    () => `${session.terminal.style.good('✓')} The super node is registered by ${name} with a bond of ${formatMoney(bond)}.`,
  );
}
