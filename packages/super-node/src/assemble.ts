import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { OwnTransactions, superNodeId, verify, type ChainId, type Hex32, type SuperNodeId } from '@orb/protocol';
import type { ChangeDesk, Cosignatures, Ledger, Refusals } from '@orb/ledger';
import type { LinkTransport } from '@orb/link';
import type { BlobStore } from '@orb/store';
import { Arrivals } from './arrivals/arrivals.ts';
import { RecentJobs } from './analytics/recent-jobs.ts';
import { StatusFeed } from './analytics/status-feed.ts';
import { takeStatus } from './analytics/status.ts';
import { CallerLinks } from './callers/caller-links.ts';
import { startClock } from './clock.ts';
import { Caretaker } from './due/caretaker.ts';
import { allDuties } from './due/duties.ts';
import { callRate, splitListen, type SuperNodeConfig } from './config.ts';
import { EndedStreams } from './gateway/ended-streams.ts';
import { Faucet } from './gateway/faucet.ts';
import type { GatewayContext } from './gateway/gateway-context.ts';
import { createGateway } from './gateway/gateway.ts';
import { RateLimit } from './gateway/rate-limit.ts';
import { SignedAccess } from './gateway/signed-access.ts';
import { TokenBook } from './gateway/tokens/token-book.ts';
import type { NetworkFolder } from './init.ts';
import type { Log } from './log.ts';
import { LogBook } from './logs/log-book.ts';
import { FunctionRegistry } from './registry/function-registry.ts';
import { LedgerFollower } from './registry/ledger-follower.ts';
import { NodeRegistry } from './registry/node-registry.ts';
import { fetchCode } from './peers/fetch-code.ts';
import { PeerRegistry } from './peers/peer-registry.ts';
import { PeerSide } from './peers/peer-side.ts';
import { Dispatches } from './relay/dispatches.ts';
import { LinkDoor } from './relay/link-door.ts';
import { NodeLinks } from './relay/node-links.ts';
import { TicketRoots } from './relay/ticket-roots.ts';
import { Scheduler } from './scheduler/scheduler.ts';
import { SecretBook } from './secrets/secret-book.ts';
import { SecretRelay } from './secrets/secret-relay.ts';
import { AskSeeders } from './seeding/ask-seeders.ts';
import { KeepReplicas } from './seeding/keep-replicas.ts';
import { Publications } from './seeding/publications.ts';
import { SettlementSide } from './settlement/settlement-side.ts';
import { answerNestedCall } from './steps/answer-nested-call.ts';
import { Treasury } from './treasury.ts';
import type { CallContext } from './steps/call-context.ts';
import { TimeLimits } from './steps/time-limits.ts';

/** What a super node stands on: one adapter for each port. */
export interface SuperNodeParts {
  readonly ledger: Ledger;
  /** What peers have co-signed. Without it nobody can. */
  readonly cosignatures?: Cosignatures | undefined;
  /** Blocks of the ledger that prove its orderer wrong. */
  readonly refusals?: Refusals | undefined;
  /** Where the ledger's orderer is changed. */
  readonly desk?: ChangeDesk | undefined;
  readonly store: BlobStore;
  /** Sealed boxes of secrets. */
  readonly boxes: BlobStore;
  readonly transport: LinkTransport;
  readonly keys: NetworkFolder;
  /** Certificate of the HTTP side; without it plain HTTP. */
  readonly gatewayTls?: { readonly cert: string; readonly key: string } | undefined;
  /** How nodes' roots are verified. @default the rule's own `verify` */
  readonly verify?: typeof verify;
  /** Where settlements are made; the ledger may know it. @default one that nobody knows */
  readonly own?: OwnTransactions;
  readonly log: Log;
}

/** A super node that is up. */
export interface RunningSuperNode {
  readonly id: SuperNodeId;
  readonly key: Hex32;
  readonly chain: ChainId;
  /** Where callers reach it. */
  readonly gatewayUrl: string;
  /** Where nodes dial. */
  readonly linkAddress: string;
  /** Takes no new calls, lets running ones end, settles what can be settled, closes its parts. */
  stop(): Promise<void>;
}

/** Callers that may wait to be let in: a crowd that comes at once would otherwise try again after seconds. As many as Linux allows. */
const backlog = 4_096;
const software = 'orb 0.1.0';
/** How long a stop waits for running calls. */
const drainMs = 10_000;

const nowMs = Date.now;
const nowUs = () => Math.round(performance.now() * 1000);

/** Puts a super node together from its parts and starts it. */
export async function assembleSuperNode(config: SuperNodeConfig, parts: SuperNodeParts): Promise<RunningSuperNode> {
  const { log, ledger, keys } = parts;
  const { chain } = ledger;
  const superNode = superNodeId(keys.superNode.publicKey);
  const identity = { chain, superNode, signer: keys.superNode };
  let stopping = false;

  const fromHeight = ledger.head.height + 1;
  const functions = new FunctionRegistry({ ledger });
  await functions.load();
  const nodes = new NodeRegistry();
  const peers = new PeerRegistry({ nowMs });
  const recentJobs = new RecentJobs();
  const logs = new LogBook({}, { nowMs });
  const dispatches = new Dispatches({ nowMs });
  const forwards = new TimeLimits({ nowMs: () => performance.now() });
  const scheduler = new Scheduler(
    { policy: config.placement, maxWaiting: config.maxWaitingCalls, maxWaitMs: config.maxWaitMs },
    { nodes, peers, onNotHeld: (fn) => replicas.missed(fn) },
  );
  const ticketRoots = new TicketRoots(identity, { nowMs });
  const notifySettled = (node: string, batch: number) => nodes.get(node)?.link.notify('settled', { batch });
  const money = await SettlementSide.open(
    { folder: config.folder, identity, lostGraceMs: config.lostGraceMs, unsignedGraceMs: config.unsignedGraceMs },
    {
      ledger,
      log,
      nowMs,
      notifySettled,
      rules: () => parameters().rules ?? 1,
      verify: parts.verify ?? verify,
      own: parts.own ?? new OwnTransactions(),
    },
  );
  const { settlement, allowances, journal, openJobs, sweeper } = money;
  const parameters = () => follower.parameters;

  const running = () => dispatches.size;
  const statusSources = {
    name: keys.genesis.name,
    self: superNode,
    ledger,
    cosignatures: parts.cosignatures,
    functions,
    nodes,
    peers,
    scheduler,
    settlement,
    recentJobs,
    nowMs,
    running,
  };
  const statusFeed = new StatusFeed({ take: () => takeStatus(statusSources) });
  const nodesChanged = () => {
    scheduler.nodesChanged();
    others.nodesChanged();
    statusFeed.changed();
  };
  const publications = new Publications({ ledger });
  const secrets = new SecretRelay({
    book: await SecretBook.open({ folder: join(config.folder, 'secrets') }, { boxes: parts.boxes }),
    functions,
    nodes,
    publications,
    log,
    onChange: (fn) => {
      nodesChanged();
      replicas.check(fn);
    },
    onDropped: (dropped) => replicas.dropped(dropped),
  });
  const seeding = { nodes, publications, secrets, onSeeded: nodesChanged };
  const replicas = new KeepReplicas({ ...seeding, functions, log });

  const nodeLinks = new NodeLinks({
    ledger,
    fetchCode: (sha256) => fetchCode(sha256, { store: parts.store, peers }),
    functions,
    nodes,
    secrets,
    settlement,
    dispatches,
    logs,
    log,
    nowMs,
    onChange: nodesChanged,
    nestedCall: (call, session) => answerNestedCall(call, session, calls),
    onNodeUp: () => replicas.nodeUp(),
    onNodeDown: (session) => replicas.nodeDown(session),
    onDropped: (dropped) => replicas.dropped(dropped),
    onEnded: (session, fn) => replicas.endedOn(session, fn),
  });
  const calls: CallContext = {
    chain,
    log,
    superNode,
    functions,
    nodes,
    peers,
    scheduler,
    arrivals: new Arrivals({}, { nowMs: () => performance.now() }),
    functionLimit: perSecond(config.callsPerSecondOfFunction),
    allowances,
    settlement,
    journal,
    dispatches,
    forwards,
    recentJobs,
    logs,
    ticketRoots,
    parameters,
    stopping: () => stopping,
    durableReplies: config.durableReplies,
    streamBytes: config.streamBytes,
    nowMs,
    nowUs,
  };
  const treasury = keys.treasury && new Treasury({ signer: keys.treasury }, { ledger, log });
  const guards = gatewayGuards(config, parts, { functions, parameters, treasury });
  const others = new PeerSide(identity, {
    ledger,
    store: parts.store,
    transport: parts.transport,
    calls,
    signedAccess: guards.signedAccess,
  });
  const caretaker = new Caretaker(
    { superNode, elsewhereMs: config.elsewhereMs },
    { ledger, log, nowMs, duties: allDuties({ ledger, parameters }) },
  );
  const seeders = new AskSeeders({ ...identity, everyMs: config.challengeEveryMs }, { ledger, functions, nodes, nowMs, log });
  const follow = [allowances, sweeper, functions, secrets, replicas, others, caretaker, openJobs, seeders].map(
    (part) => (event: Parameters<typeof part.apply>[0]) => part.apply(event),
  );
  const follower = await LedgerFollower.start({
    ledger,
    fromHeight,
    log,
    follow,
    afterTransaction: (jobs) => openJobs.endClosed(jobs),
    onBlock: () => statusFeed.changed(),
  });
  await Promise.all([caretaker.load(), seeders.load()]);

  const callers = new CallerLinks({
    ...guards,
    calls,
    statusFeed,
    chain,
    key: keys.superNode.publicKey,
    publicUrl: () => context.publicUrl,
  });
  const door = new LinkDoor({ nodes: nodeLinks, peers: others.links, callers });
  const listener = await parts.transport.listen({
    identity: { chain, role: 'super-node', signer: keys.superNode },
    handler: door,
    authorize: (peer) => door.authorize(peer),
    onLink: (link) => door.opened(link),
  });
  const context: GatewayContext = {
    calls,
    ledger,
    cosignatures: parts.cosignatures,
    refusals: parts.refusals,
    desk: parts.desk,
    store: parts.store,
    genesis: keys.genesis,
    superNode,
    software,
    seeding,
    secrets,
    statusFeed,
    log,
    ...guards,
    caughtUp: () => follower.caughtUp(),
  };
  const gateway = createGateway({ tls: parts.gatewayTls, trustedProxies: config.gateway.trustedProxies }, context);
  const bound = await gateway.listen({ ...splitListen(config.gateway.listen), backlog });
  context.publicUrl ||= bound;

  const clock = startClock({
    everyTick: () => {
      ticketRoots.signDue();
      dispatches.expireOverdue();
      forwards.expireOverdue();
      if (nodes.forgetFull()) scheduler.nodesChanged();
    },
    settleEveryMs: config.settleEveryMs,
    settle: () => settlement.settle(),
    settleFull: () => settlement.settleFull(),
    everySecond: async () => {
      nodes.fade();
      others.endLateAnswers();
      await money.everySecond();
      await caretaker.run();
      await seeders.ask();
      await treasury?.burnRedeemed();
    },
  });
  await others.start();
  log.info('super node is up', { id: superNode, gateway: context.publicUrl, links: listener.address, chain });

  const stop = async () => {
    stopping = true;
    await waitUntilIdle(dispatches);
    statusFeed.stop();
    await gateway.close();
    ticketRoots.signAll();
    await clock.stop();
    await others.stop();
    await replicas.stop();
    await listener.close();
    await money.close();
    await follower.stop();
    await parts.cosignatures?.close();
    await ledger.close();
    log.info('super node has stopped');
  };
  return { id: superNode, key: keys.superNode.publicKey, chain, gatewayUrl: context.publicUrl, linkAddress: listener.address, stop };
}

/** Who may ask the gateway for what, and how often. */
function gatewayGuards(
  config: SuperNodeConfig,
  { ledger }: SuperNodeParts,
  deps: { functions: FunctionRegistry; parameters: () => LedgerFollower['parameters']; treasury: Treasury | undefined },
) {
  const { treasury } = deps;
  const { faucetPerMinute } = config;
  return {
    publicUrl: config.gateway.url?.replace(/\/$/, '') ?? '',
    signedAccess: new SignedAccess({ chain: ledger.chain }, { functions: deps.functions, nowMs }),
    tokens: new TokenBook({ folder: config.folder }, { nowMs }),
    faucet:
      treasury && faucetPerMinute > 0
        ? new Faucet({ perMinute: faucetPerMinute }, { treasury, ledger, parameters: deps.parameters, nowMs })
        : undefined,
    streamIdleMs: config.streamIdleMs,
    endedStreams: new EndedStreams(),
    sharedPages: config.gateway.pages === 'shared',
    callLimit: perSecond(callRate(config)),
    writeLimit: new RateLimit({ perSecond: 50, burst: 500 }, { nowMs }),
  };
}

/** A rate with a burst of two seconds. */
function perSecond(rate: number | null): RateLimit | undefined {
  return rate === null ? undefined : new RateLimit({ perSecond: rate, burst: 2 * rate }, { nowMs });
}

async function waitUntilIdle(dispatches: Dispatches): Promise<void> {
  const until = nowMs() + drainMs;
  while (dispatches.size > 0 && nowMs() < until) await new Promise((resolve) => setTimeout(resolve, 20));
}
