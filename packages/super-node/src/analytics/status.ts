import type { BlockHeader, Json, NetworkPolicy, SuperNodeRecord } from '@orb/protocol';
import type { Cosignatures, Ledger } from '@orb/ledger';
import type { FunctionRegistry } from '../registry/function-registry.ts';
import type { PeerRegistry, PeerSession } from '../peers/peer-registry.ts';
import type { NodeRegistry, NodeSession } from '../registry/node-registry.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import type { Settlement } from '../settlement/settlement.ts';
import type { RecentJob, RecentJobs } from './recent-jobs.ts';

/** A picture of the network from this super node, for the status page and programs. */
export interface Status {
  readonly time: number;
  readonly network: { readonly name: string; readonly chain: string };
  readonly superNodes: readonly {
    readonly id: string;
    readonly address: string;
    readonly gateway: string;
    readonly account: string;
    readonly self: boolean;
    /** What it says of itself; null for this one, and while it is not linked. */
    readonly presence: PresenceStatus | null;
  }[];
  readonly nodes: readonly NodeStatus[];
  readonly functions: readonly FunctionStatus[];
  readonly functionCount: number;
  readonly jobs: readonly RecentJob[];
  readonly totals: { readonly jobs: number; readonly unsettled: number; readonly waiting: number; readonly running: number };
  readonly ledger: {
    readonly height: number;
    /** Rises with each change of the orderer. */
    readonly epoch: number;
    readonly time: number;
    readonly state: string;
    readonly finality: FinalityOfStatus | null;
  };
}

/** Who co-signs the ledger. Null in a status while nobody can say. */
interface FinalityOfStatus {
  /** Every block up to this one is final; null while none is. */
  readonly final: number | null;
  /** Co-signatures that make a block final. */
  readonly needed: number;
  /** Empty: the orderer alone vouches. */
  readonly peers: readonly { readonly account: string; readonly height: number | null; readonly heardMs: number | null }[];
}

interface PresenceStatus {
  readonly rttMs: number | null;
  readonly freeSlots: number;
  readonly running: number;
  readonly waiting: number;
  readonly answerMs: number | null;
  /** Versions that it has ready seeders for. */
  readonly versions: number;
  /** Calls of this super node that run there. */
  readonly forwarded: number;
}

export interface NodeStatus {
  readonly id: string;
  readonly label: string;
  readonly account: string;
  readonly platform: string;
  readonly isolation: string;
  readonly cores: number;
  readonly memoryMiB: number;
  readonly rate: string;
  readonly slots: number;
  readonly active: number;
  readonly seeds: number;
  /** What of the network functions may reach there; null for nothing. */
  readonly network: NetworkPolicy | null;
  readonly accepting: boolean;
  readonly rttMs: number | null;
  readonly answerMs: number | null;
  readonly connectedAtMs: number;
}

interface FunctionStatus {
  readonly name: string;
  readonly id: string;
  readonly state: string;
  readonly version: number | null;
  readonly ready: number;
  readonly wanted: number;
}

export interface StatusSources {
  readonly name: string;
  readonly self: string;
  readonly ledger: Ledger;
  readonly cosignatures: Pick<Cosignatures, 'status'> | undefined;
  readonly functions: FunctionRegistry;
  readonly nodes: NodeRegistry;
  readonly peers: PeerRegistry;
  readonly scheduler: Scheduler;
  readonly settlement: Settlement;
  readonly recentJobs: RecentJobs;
  readonly running: () => number;
  readonly nowMs: () => number;
}

const shownFunctions = 100;
const shownJobs = 50;

export async function takeStatus(sources: StatusSources): Promise<Status> {
  const { ledger, functions, nodes, scheduler, settlement, recentJobs } = sources;
  const superNodes = await ledger.range('super-node/', { limit: 100 });
  const head: BlockHeader = ledger.head;
  return {
    time: sources.nowMs(),
    network: { name: sources.name, chain: ledger.chain },
    superNodes: superNodes.map(({ value }) => describeSuperNode(value, sources)),
    nodes: [...nodes.sessions()].map((node) => describeNode(node, functions)),
    functions: describeFunctions(functions, nodes),
    functionCount: functions.size,
    jobs: recentJobs.list(shownJobs),
    totals: { jobs: recentJobs.total, unsettled: settlement.unsettled, waiting: scheduler.waiting, running: sources.running() },
    ledger: { height: head.height, epoch: head.epoch, time: head.time, state: head.state, finality: await describeFinality(sources) },
  };
}

async function describeFinality({ cosignatures, functions }: StatusSources): Promise<FinalityOfStatus | null> {
  // Of a super node that follows another, the orderer is asked: it may be away.
  const found = await cosignatures?.status().catch(() => undefined);
  if (!found) return null;
  const { final, needed, peers } = found;
  return { final, needed, peers: peers.map(({ id, height, heardMs }) => ({ account: functions.accountName(id) ?? id, height, heardMs })) };
}

function describeSuperNode(value: Json, { functions, self, peers }: StatusSources): Status['superNodes'][number] {
  const { id, address, gateway, account } = value as unknown as SuperNodeRecord;
  return {
    id,
    address,
    gateway,
    account: functions.accountName(account) ?? account,
    self: id === self,
    presence: describePeer(peers.get(id)),
  };
}

function describePeer(peer: PeerSession | undefined): PresenceStatus | null {
  if (!peer?.presence) return null;
  const { link, presence, seeds, active } = peer;
  const { freeSlots, running, waiting, answerMs } = presence;
  return { rttMs: link.rttMs ?? null, freeSlots, running, waiting, answerMs, versions: presence.replicas ?? seeds.size, forwarded: active };
}

export function describeNode(node: NodeSession, functions: FunctionRegistry): NodeStatus {
  const { offer, link } = node;
  return {
    id: node.id,
    label: node.label,
    account: functions.accountName(node.account) ?? node.account,
    platform: `${offer.platform}-${offer.architecture}`,
    isolation: offer.isolation,
    cores: offer.cores,
    memoryMiB: offer.memoryMiB,
    rate: offer.rate,
    slots: offer.slots,
    active: node.active,
    seeds: node.seeds.size,
    network: offer.network ?? null,
    accepting: offer.accepting,
    rttMs: link.rttMs ?? null,
    answerMs: node.answerMs ?? null,
    connectedAtMs: node.connectedAtMs,
  };
}

function describeFunctions(functions: FunctionRegistry, nodes: NodeRegistry): FunctionStatus[] {
  const described: FunctionStatus[] = [];
  for (const entry of functions.entries()) {
    if (described.length >= shownFunctions) break;
    const version = entry.versions[0]?.[0];
    described.push({
      name: entry.fullName,
      id: entry.record.id,
      state: entry.record.state,
      version: version?.number ?? null,
      ready: version ? nodes.seeders(version.replica).length : 0,
      wanted: version?.manifest.replicas ?? 0,
    });
  }
  return described;
}
