import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import {
  limits, stateKeys, superNodeId, type Hex32, type Parameters, type SuperNodeId, type VersionRecord,
} from '@orb/protocol';
import type { Ledger } from '@orb/ledger';
import type { LinkTransport } from '@orb/link';
import type { BlobStore } from '@orb/store';
import { RecentJobs } from './analytics/recent-jobs.ts';
import { StatusFeed } from './analytics/status-feed.ts';
import { takeStatus } from './analytics/status.ts';
import { splitListen, type SuperNodeConfig } from './config.ts';
import { Faucet } from './gateway/faucet.ts';
import { createGateway } from './gateway/gateway.ts';
import { RateLimit } from './gateway/rate-limit.ts';
import { SignedAccess } from './gateway/signed-access.ts';
import type { NetworkFolder } from './init.ts';
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

/** What a super node stands on: one adapter for each port. */
export interface SuperNodeParts {
  readonly ledger: Ledger;
  readonly store: BlobStore;
  readonly transport: LinkTransport;
  readonly keys: NetworkFolder;
  /** Certificate of the HTTP side; without it plain HTTP. */
  readonly gatewayTls?: { readonly cert: string; readonly key: string } | undefined;
  readonly log: Log;
}

/** Puts a super node together from its parts and starts it; stopping it closes the ledger too. */
export async function assembleSuperNode(config: SuperNodeConfig, parts: SuperNodeParts): Promise<RunningSuperNode> {
  const { log, ledger, store, keys } = parts;
  const nowMs = Date.now;
  const nowUs = () => Math.round(performance.now() * 1000);
  const { chain } = ledger;
  const superNode = superNodeId(keys.superNode.publicKey);
  const identity = { chain, superNode, signer: keys.superNode };

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

  let parameters = await readParameters(ledger);
  const known = await settlement.restore(journalled);
  await allowances.load(journalled, known);
  settlement.claimRestored();
  await functions.load();
  await sweeper.load();

  let stopping = false;
  const statusFeed: StatusFeed = new StatusFeed({
    take: () => takeStatus({
      name: keys.genesis.name, self: superNode, ledger, functions, nodes, scheduler, settlement, recentJobs, nowMs, running: () => dispatches.size,
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
        if (event.type === 'record' && event.key === stateKeys.currentParameters) parameters = await readParameters(ledger);
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
  const listener = await parts.transport.listen({
    identity: { chain, role: 'super-node', signer: keys.superNode },
    handler: nodeLinks,
    authorize: (peer) => nodeLinks.authorize(peer),
    onLink: (link) => nodeLinks.opened(link),
  });
  const ticketRoots = new TicketRoots(identity, { nowMs });

  const calls: CallContext = {
    chain, log, superNode, functions, nodes, scheduler, allowances, settlement, journal, dispatches, recentJobs, ticketRoots,
    parameters: () => parameters, stopping: () => stopping, durableReplies: config.durableReplies, nowMs, nowUs,
  };
  const faucet = keys.treasury && config.faucetPerMinute > 0
    ? new Faucet({ treasury: keys.treasury, perMinute: config.faucetPerMinute }, { ledger, parameters: () => parameters, nowMs })
    : undefined;
  const { host, port } = splitListen(config.gateway.listen);
  const context = {
    calls, ledger, store, genesis: keys.genesis, superNode, software, seeding, statusFeed, faucet, log,
    signedAccess: new SignedAccess({ chain }, { functions, nowMs }),
    callLimit: config.callsPerSecond === null ? undefined : new RateLimit({ perSecond: config.callsPerSecond, burst: 2 * config.callsPerSecond }, { nowMs }),
    writeLimit: new RateLimit({ perSecond: 50, burst: 500 }, { nowMs }),
    publicUrl: config.gateway.url?.replace(/\/$/, '') ?? '',
    caughtUp: () => applied,
  };
  const gateway = createGateway({ tls: parts.gatewayTls }, context);
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
    key: keys.superNode.publicKey,
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

/** The parameters in force: the state holds their number, and each version under its own. */
async function readParameters(ledger: Ledger): Promise<Parameters> {
  const version = (await ledger.get(stateKeys.currentParameters)) as number;
  return (await ledger.get(stateKeys.parameters(version))) as unknown as Parameters;
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
