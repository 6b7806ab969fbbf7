import type { Command } from 'commander';
import { formatCredits } from '@orb/protocol';
import { Orb, type NodeInfo } from '@orb/sdk';
import { otherSuperNodes } from '../lending/other-super-nodes.ts';
import type { Session } from '../session/session.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { formatInstant, formatUs, shortId } from '../terminal/format.ts';
import { renderFacts, renderTable } from '../terminal/table.ts';
import type { CommandContext } from './command-context.ts';
import { addRefundCommand } from './refund-command.ts';
import { describeJob, jobResult, namesOfJob } from './describe-job.ts';
import { wholeNumber } from './option-values.ts';
import { addVerifyProofCommand, writeJobProof } from './proof-commands.ts';

/** `orb status`, `orb nodes`, `orb job`, `orb jobs`, `orb network`: what a network is doing. */
export function addNetworkCommands(program: Command, context: CommandContext): void {
  program
    .command('status')
    .description('the network at a glance')
    .action(async (_: unknown, command: Command) => showStatus(context.session(command)));
  program
    .command('nodes')
    .description('nodes that are lent to this network')
    .action(async (_: unknown, command: Command) => listNodes(context.session(command)));
  const job = program
    .command('job')
    .description('one job: its timeline, its payment, and where it stands on the ledger')
    .argument('<id>', 'job id, as orb call --verbose and the response header orb-job show it')
    .option('--proof <file>', 'write its proof to a file, which orb verify-proof checks without the network')
    .action(async (id: string, { proof }: { proof?: string }, command: Command) =>
      proof === undefined ? showJob(context.session(command), id) : writeJobProof(context.session(command), id, proof),
    );
  addRefundCommand(job, context);
  addVerifyProofCommand(program, context);
  program
    .command('jobs')
    .description('recent jobs, newest first')
    .option('--limit <number>', 'how many', wholeNumber(1, 1_000), 20)
    .action(async (flags: { limit: number }, command: Command) => listJobs(context.session(command), flags.limit));
  const network = program.command('network').description('which network the commands speak to');
  network
    .command('show', { isDefault: true })
    .description('the network and its super node')
    .action(async (_: unknown, command: Command) => showNetwork(context.session(command)));
  network
    .command('use')
    .description('speak to this super node from now on, and accept the network it belongs to')
    .argument('<url>', 'address of a super node, such as http://127.0.0.1:7080')
    .action(async (url: string, _: unknown, command: Command) => useNetwork(context.session(command), url));
}

async function showStatus(session: Session): Promise<void> {
  const orb = await session.orb();
  const [network, nodes, functions, jobs] = await Promise.all([
    orb.network(),
    orb.nodes(),
    orb.functions.list({ limit: 1_000 }),
    orb.jobs(5),
  ]);
  const status = {
    name: network.name,
    network: network.network,
    chain: network.chain,
    superNode: network.superNode,
    head: network.head,
    nodes: nodes.length,
    functions: functions.length,
    recentJobs: jobs,
  };
  session.result(status, () => {
    const { style } = session.terminal;
    return [
      `${style.good('●')} ${style.strong(cleanText(network.name))} ${style.quiet(`(${network.network} network)`)}`,
      renderFacts(
        [
          ['super node', cleanText(network.superNode.gateway ?? orb.url)],
          ['chain', network.chain],
          ['ledger', `height ${network.head.height}, ${formatInstant(network.head.time)}`],
          ['nodes', `${nodes.length} linked, ${nodes.reduce((sum, node) => sum + (node.active ?? 0), 0)} jobs running`],
          ['functions', String(functions.length)],
          ['last job', jobs[0] ? `${cleanText(jobs[0].function)} ${cleanText(jobs[0].outcome)}` : 'none yet'],
        ],
        style,
        '  ',
      ),
    ].join('\n');
  });
}

async function listNodes(session: Session): Promise<void> {
  const nodes = await (await session.orb()).nodes();
  session.result({ nodes }, () => {
    const { style, width } = session.terminal;
    if (nodes.length === 0) return 'No node is lent to this network. Lend one: orb node start';
    const rows = nodes.map((node) => [
      node.accepting === false ? style.warn('paused') : style.good('ready'),
      style.strong(cleanText(node.label)),
      cleanText(node.account),
      shortId(node.id),
      node.cores === undefined ? '–' : String(node.cores),
      node.memoryMiB === undefined ? '–' : `${node.memoryMiB} MiB`,
      cleanText(node.isolation ?? '–'),
      cleanText(describeNetwork(node.network)),
      node.rate ?? '–',
      `${node.active ?? 0}/${node.slots ?? '–'}`,
      typeof node.rttMs === 'number' ? `${node.rttMs.toFixed(1)} ms` : '–',
    ]);
    const columns = [
      { title: 'state' },
      { title: 'node', flexible: true },
      { title: 'account' },
      { title: 'id' },
      { title: 'cores', align: 'right' },
      { title: 'memory', align: 'right' },
      { title: 'isolation' },
      { title: 'network' },
      { title: 'rate', align: 'right' },
      { title: 'jobs', align: 'right' },
      { title: 'response', align: 'right' },
    ] as const;
    return renderTable(columns, rows, style, width);
  });
}

/** What functions may reach there; hosts are in the JSON. */
function describeNetwork(network: NodeInfo['network']): string {
  if (typeof network === 'string') return network;
  return network ? `${network.length} ${network.length === 1 ? 'host' : 'hosts'}` : 'none';
}

async function showJob(session: Session, id: string): Promise<void> {
  const orb = await session.orb();
  const info = await orb.job(id);
  const names = await namesOfJob(orb, info);
  session.result(jobResult(info, names), () => describeJob(info, names, session.terminal.style));
}

async function listJobs(session: Session, limit: number): Promise<void> {
  const jobs = await (await session.orb()).jobs(limit);
  session.result({ jobs }, () => {
    const { style, width } = session.terminal;
    if (jobs.length === 0) return 'No jobs yet. Call something: orb call OWNER/NAME';
    const rows = jobs.map((job) => [
      cleanText(job.function),
      job.outcome === 'ok' ? style.good('ok') : style.bad(cleanText(job.outcome)),
      formatUs(job.prcUs),
      formatUs(job.setupUs),
      formatUs(job.runUs),
      formatCredits(BigInt(job.costUnits)),
      formatInstant(job.doneAtMs),
      job.id,
    ]);
    const columns = [
      { title: 'function' },
      { title: 'outcome' },
      { title: 'T_prc', align: 'right' },
      { title: 'setup', align: 'right' },
      { title: 'run', align: 'right' },
      { title: 'credits', align: 'right' },
      { title: 'when' },
      { title: 'job', flexible: true },
    ] as const;
    return renderTable(columns, rows, style, width);
  });
}

async function showNetwork(session: Session): Promise<void> {
  const network = await (await session.orb()).network();
  session.result(network, () => {
    const { style } = session.terminal;
    const { parameters } = network;
    return [
      `${style.strong(cleanText(network.name))} ${style.quiet(`(${network.network} network)`)}`,
      renderFacts(
        [
          ['chain', network.chain],
          ['super node', cleanText(network.superNode.gateway ?? 'not registered yet')],
          ['links', cleanText(network.superNode.address ?? '–')],
          ['super node key', network.superNode.key ?? '–'],
          ['head', `height ${network.head.height}, ${formatInstant(network.head.time)}`],
          [
            'split',
            `relay ${parameters.split.relayBps / 100} %, commission ${parameters.split.commissionBps / 100} %, seeding ${parameters.split.seedingBps / 100} %, the rest to the provider`,
          ],
          ['faucet', parameters.faucetGrant === '0' ? 'none' : `${formatCredits(BigInt(parameters.faucetGrant))} credits a grant`],
        ],
        style,
        '  ',
      ),
    ].join('\n');
  });
}

/** Other super nodes that are remembered beside the one that was named, to change over to. */
const rememberedOthers = 3;

async function useNetwork(session: Session, url: string): Promise<void> {
  const orb = new Orb({ url });
  const { chain, name, superNode } = await orb.network();
  const others = (await otherSuperNodes(orb, superNode.id, chain)).slice(0, rememberedOthers);
  const gateways = [...new Set([orb.url, ...others.map(({ gateway }) => gateway.replace(/\/$/, ''))])];
  await session.changeProfile((profile) => ({
    ...profile,
    gateway: gateways.join(','),
    chains: { ...profile.chains, ...Object.fromEntries(gateways.map((gateway) => [gateway, chain])) },
  }));
  const more = gateways.length > 1 ? ` Should it not answer: ${gateways.slice(1).join(', ')}.` : '';
  session.result(
    { gateway: orb.url, gateways, chain, name },
    () =>
      `${session.terminal.style.good('✓')} Commands now speak to ${cleanText(name)} at ${orb.url}.${more} ${session.terminal.style.quiet(`chain ${chain}`)}`,
  );
}
