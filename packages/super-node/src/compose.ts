import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import {
  chainId, limits, OrbError, stateKeys, superNodeId, type Hex32, type Parameters, type SuperNodeId, type VersionRecord,
} from '@orb/protocol';
import { openEmbeddedLedger } from '@orb/ledger/embedded';
import type { LinkListener } from '@orb/link';
import { WssTransport } from '@orb/link/wss';
import { openDiskStore } from '@orb/store/disk';
import { RecentJobs } from './analytics/recent-jobs.ts';
import { StatusFeed } from './analytics/status-feed.ts';
import { takeStatus } from './analytics/status.ts';
import { splitListen, type SuperNodeConfig } from './config.ts';
import { Faucet } from './gateway/faucet.ts';
import { createGateway } from './gateway/gateway.ts';
import { RateLimit } from './gateway/rate-limit.ts';
import { SignedAccess } from './gateway/signed-access.ts';
import { readNetworkFolder } from './init.ts';
import type { Log } from './log.ts';
import { FunctionRegistry } from './registry/function-registry.ts';
import { NodeRegistry } from './registry/node-registry.ts';
import { Dispatches } from './relay/dispatches.ts';
import { NodeLinks } from './relay/node-links.ts';
import { TicketRoots } from './relay/ticket-roots.ts';
import { Scheduler } from './scheduler/scheduler.ts';
import { KeepReplicas } from './seeding/keep-replicas.ts';
import { Publications } from './seeding/publications.ts';
import { Allowances } from './settlement/allowances.ts';
import { Journal, readJournal } from './settlement/journal.ts';
import { Settlement, settlementDefaults } from './settlement/settlement.ts';
import { Sweeper } from './settlement/sweeper.ts';
import type { CallContext } from './steps/call-context.ts';

/** A super node that is up. */
export interface RunningSuperNode {
  readonly id: SuperNodeId;
  readonly key: Hex32;
  readonly chain: Hex32;
  /** Where callers reach it. */
  readonly gatewayUrl: string;
  /** Where nodes dial. */
  readonly linkAddress: string;
  /** Takes no new calls, lets running ones end, settles what can be settled, closes. */
  stop(): Promise<void>;
}

const software = 'orb 0.1.0';
/** Ticket roots leave, and overdue jobs are looked for, this often. */
const tickMs = 100;
/** How long a stop waits for running calls. */
const drainMs = 10_000;

/** Starts a super node from its folder. */
export async function startSuperNode(config: SuperNodeConfig, dependencies: { readonly log: Log }): Promise<RunningSuperNode> {
  const { log } = dependencies;
  const nowMs = Date.now;
  const nowUs = () => Math.round(performance.now() * 1000);
  const folder = readNetworkFolder(config.folder);
  const chain = chainId(folder.genesis);
  const superNode = superNodeId(folder.superNode.publicKey);
  const identity = { chain, superNode, signer: folder.superNode };

  const ledger = await openEmbeddedLedger({ folder: join(config.folder, 'ledger'), genesis: folder.genesis, ordererKey: folder.orderer });
  const store = await openDiskStore({ directory: join(config.folder, 'code') });
  const functions = new FunctionRegistry({ ledger });
  const nodes = new NodeRegistry();
  const recentJobs = new RecentJobs();
  const dispatches = new Dispatches({ nowMs });
  const scheduler = new Scheduler({ policy: config.placement, maxWaiting: config.maxWaitingCalls, maxWaitMs: config.maxWaitMs }, { nodes });

  const journalFolder = join(config.folder, 'settlement');
  const journalled = readJournal(journalFolder);
  const journal = new Journal(journalFolder);
  const allowances = new Allowances({ superNode }, { ledger, journal, now: nowMs });
  const settlement = new Settlement(
    { ...identity, ...settlementDefaults, lostGraceMs: config.lostGraceMs },
    {
      ledger, journal, allowances, log, now: nowMs,
      memoryOf: async (ticket) => {
        const version = (await ledger.get(stateKeys.version(ticket.function, ticket.version))) as unknown as VersionRecord | undefined;
        return version?.manifest.memoryMiB ?? limits.memoryMiB.max;
      },
      notifySettled: (node, batch) => nodes.get(node)?.link.notify('settled', { batch }),
    },
  );
  const sweeper = new Sweeper(identity, { ledger, log, nowMs });

  let parameters = (await ledger.get(stateKeys.currentParameters)) as unknown as Parameters;
  const known = await settlement.restore(journalled);
  await allowances.load(journalled, known);
  settlement.claimRestored();
  await functions.load();
  await sweeper.load();

  let stopping = false;
  const statusFeed: StatusFeed = new StatusFeed({
    take: () => takeStatus({
      name: folder.genesis.name, self: superNode, ledger, functions, nodes, scheduler, settlement, recentJobs, nowMs, running: () => dispatches.size,
    }),
  });
  const seeding = {
    nodes,
    publications: new Publications({ ledger }),
    onSeeded: () => {
      scheduler.nodesChanged();
      statusFeed.changed();
    },
  };
  const replicas = new KeepReplicas({ ...seeding, functions, log });

  // Everything that follows the ledger follows it here, one block after the other.
  let applied: Promise<void> = Promise.resolve();
  const follower = ledger.follow(ledger.head.height + 1, ({ events }) => {
    applied = applied.then(async () => {
      for (const event of events) {
        if (event.type === 'record' && event.key === stateKeys.currentParameters) parameters = event.value as unknown as Parameters;
        allowances.apply(event);
        sweeper.apply(event);
        await functions.apply(event);
        await replicas.apply(event);
      }
      statusFeed.changed();
    }).catch((error: unknown) => log.error('following the ledger failed', { error: String(error) }));
  });

  const nodeLinks = new NodeLinks({
    ledger, store, functions, nodes, settlement, dispatches, log, nowMs,
    onChange: () => {
      scheduler.nodesChanged();
      statusFeed.changed();
    },
    onNodeUp: () => replicas.nodeUp(),
    onNodeDown: (session) => replicas.nodeDown(session),
  });
  const listener = await listenForNodes(config, identity, nodeLinks);
  const ticketRoots = new TicketRoots(identity, { nowMs });

  const calls: CallContext = {
    chain, superNode, functions, nodes, scheduler, allowances, settlement, journal, dispatches, recentJobs, ticketRoots,
    parameters: () => parameters, stopping: () => stopping, durableReplies: config.durableReplies, nowMs, nowUs,
  };
  const faucet = folder.treasury && config.faucetPerMinute > 0
    ? new Faucet({ treasury: folder.treasury, perMinute: config.faucetPerMinute }, { ledger, parameters: () => parameters, nowMs })
    : undefined;
  const { host, port } = splitListen(config.gateway.listen);
  const context = {
    calls, ledger, store, genesis: folder.genesis, superNode, software, seeding, statusFeed, faucet, log,
    signedAccess: new SignedAccess({ chain }, { functions, nowMs }),
    callLimit: config.callsPerSecond === null ? undefined : new RateLimit({ perSecond: config.callsPerSecond, burst: 2 * config.callsPerSecond }, { nowMs }),
    writeLimit: new RateLimit({ perSecond: 50, burst: 500 }, { nowMs }),
    publicUrl: config.gateway.url?.replace(/\/$/, '') ?? '',
    caughtUp: () => applied,
  };
  const gateway = createGateway({ tls: config.gateway.tls && readTls(config.gateway.tls) }, context);
  const bound = await gateway.listen({ host, port });
  if (context.publicUrl === '') context.publicUrl = bound;

  const clock = startClock({
    everyTick: () => {
      ticketRoots.signAll();
      dispatches.expireOverdue();
    },
    settle: () => settlement.settle(),
    settleEveryMs: config.settleEveryMs,
    everySecond: async () => {
      allowances.endDoubt();
      await sweeper.sweep();
    },
  });
  log.info('super node is up', { id: superNode, gateway: context.publicUrl, links: listener.address, chain });

  return {
    id: superNode,
    key: folder.superNode.publicKey,
    chain,
    gatewayUrl: context.publicUrl,
    linkAddress: listener.address,
    async stop() {
      stopping = true;
      const until = nowMs() + drainMs;
      while (dispatches.size > 0 && nowMs() < until) await new Promise((resolve) => setTimeout(resolve, 20));
      statusFeed.stop();
      await gateway.close();
      ticketRoots.signAll();
      await clock.stop();
      await settlement.settle();
      await replicas.stop();
      await listener.close();
      follower.stop();
      await applied;
      allowances.closeRanges();
      journal.rewrite([...settlement.journalEntries(), ...allowances.journalEntries()]);
      await journal.close();
      await ledger.close();
      log.info('super node has stopped');
    },
  };
}

function listenForNodes(config: SuperNodeConfig, identity: { chain: Hex32; signer: ReturnType<typeof readNetworkFolder>['superNode'] }, nodeLinks: NodeLinks): Promise<LinkListener> {
  const { host, port } = splitListen(config.links.listen);
  const transport = new WssTransport({
    host, port,
    ...(config.links.tls && { certificate: readTls(config.links.tls) }),
    ...(config.links.address !== undefined && { publicAddress: config.links.address }),
  });
  return transport.listen({
    identity: { chain: identity.chain, role: 'super-node', signer: identity.signer },
    handler: nodeLinks,
    authorize: (peer) => nodeLinks.authorize(peer),
    onLink: (link) => nodeLinks.opened(link),
  });
}

function readTls({ certFile, keyFile }: { certFile: string; keyFile: string }): { cert: string; key: string } {
  try {
    return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  } catch (cause) {
    throw new OrbError('invalid-request', { message: `The certificate ${certFile} or its key ${keyFile} cannot be read.`, cause });
  }
}

interface Clock {
  everyTick(): void;
  settle(): Promise<void>;
  settleEveryMs: number;
  everySecond(): Promise<void>;
}

function startClock({ everyTick, settle, settleEveryMs, everySecond }: Clock): { stop(): Promise<void> } {
  const timers = [setInterval(everyTick, tickMs), setInterval(() => void settle(), settleEveryMs), setInterval(() => void everySecond(), 1_000)];
  return {
    async stop() {
      for (const timer of timers) clearInterval(timer);
      await everySecond();
    },
  };
}
