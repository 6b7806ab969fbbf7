import type { ClaimCounts } from './claims/job-claims.ts';
import type { LedgerDuties } from './claims/ledger-duties.ts';
import type { ChallengeCounts } from './seeding/answer-challenges.ts';
import type { NodeId, Offer } from '@orb/protocol';
import type { JobDesk } from './job/accept-job.ts';
import type { Tally, TallyCounts } from './job/tally.ts';
import type { LentNode } from './lent-node.ts';
import type { Lending } from './offer/lending.ts';
import type { SeedShelf } from './seeding/seed-shelf.ts';
import type { SuperLinks } from './super-links.ts';
import type { SuperNodeAccount } from './super-node-account.ts';

/** What the owner of a lent computer sees. */
export interface NodeStatus {
  readonly id: NodeId;
  readonly label: string;
  /** `lending`, `paused` by its owner, or `stopping`: it finishes what it has. */
  readonly state: 'lending' | 'paused' | 'stopping';
  readonly upMs: number;
  readonly superNodes: readonly SuperNodeStatus[];
  readonly offer: Omit<Offer, 'v' | 'lastBatch'>;
  readonly running: number;
  readonly busyMiB: number;
  readonly jobs: TallyCounts;
  /** Jobs that super nodes did not settle. */
  readonly claims: ClaimCounts;
  /** Challenges about code that this node holds. */
  readonly challenges: ChallengeCounts;
  readonly versions: readonly { readonly name: string; readonly version: string; readonly memoryMiB: number }[];
}

export interface SuperNodeStatus {
  readonly id: string;
  readonly address: string;
  readonly linked: boolean;
  readonly rttMs: number | undefined;
  /** How far this computer's clock is ahead of the network's. */
  readonly clockAheadMs: number | undefined;
  readonly lastError: string | undefined;
  readonly lastBatch: number;
  readonly settledBatch: number;
  /** Receipts that wait for settlement. */
  readonly unsettled: number;
  /** Ticket roots over this link that did not cover the tickets that came: the evidence is kept. */
  readonly wrongRoots: number;
}

export interface NodeStatusSources {
  readonly id: NodeId;
  readonly label: string;
  readonly startedMs: number;
  readonly nowMs: () => number;
  readonly accounts: readonly SuperNodeAccount[];
  readonly duties: Pick<LedgerDuties, 'claims' | 'challenges'>;
  readonly lending: Lending;
  readonly desk: JobDesk;
  readonly tally: Tally;
  readonly shelf: SeedShelf;
  readonly node: LentNode;
  readonly links: SuperLinks;
}

export function nodeStatus(sources: NodeStatusSources): NodeStatus {
  const { lending, node, accounts, desk } = sources;
  const { v: _, lastBatch: __, ...offer } = node.offer(accounts[0]!);
  return {
    id: sources.id,
    label: sources.label,
    state: lending.stopping ? 'stopping' : lending.paused ? 'paused' : 'lending',
    upMs: sources.nowMs() - sources.startedMs,
    superNodes: sources.links.states.map((state, i) => superNodeStatus(sources, accounts[i]!, state)),
    offer,
    running: desk.running,
    busyMiB: desk.busyMiB,
    jobs: sources.tally.counts(),
    claims: sources.duties.claims,
    challenges: sources.duties.challenges,
    versions: Array.from(sources.shelf.versions, ({ name, version, manifest }) => ({ name, version, memoryMiB: manifest.memoryMiB })),
  };
}

function superNodeStatus(
  { node }: NodeStatusSources,
  { id, book }: SuperNodeAccount,
  state: SuperLinks['states'][number],
): SuperNodeStatus {
  const session = [...node.sessions].find(({ link }) => link === state.link);
  return {
    id,
    address: state.address,
    linked: state.link !== undefined,
    rttMs: state.link?.rttMs,
    clockAheadMs: session?.clockAheadMs,
    lastError: state.lastError,
    lastBatch: book.lastBatch,
    settledBatch: book.settledBatch,
    unsettled: book.unsettledRows,
    wrongRoots: session?.wrongRoots ?? 0,
  };
}
