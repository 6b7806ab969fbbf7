import type { ClaimCounts } from './claims/job-claims.ts';
import type { LedgerDuties } from './claims/ledger-duties.ts';
import type { ChallengeCounts } from './seeding/answer-challenges.ts';
import type { NodeId, Offer } from '@orb/protocol';
import type { PullProgress } from '@orb/sandbox';
import type { JobDesk } from './job/accept-job.ts';
import type { Refusal, Tally, TallyCounts } from './job/tally.ts';
import type { LentNode } from './lent-node.ts';
import type { Machine } from './offer/machine.ts';
import type { Lending, RestReason } from './offer/lending.ts';
import type { SeedShelf } from './seeding/seed-shelf.ts';
import type { OwnerSettings } from './settings/owner-settings.ts';
import type { Settings } from './settings/settings.ts';
import type { SuperLinks } from './super-links.ts';
import type { SuperNodeAccount } from './super-node-account.ts';
import type { Conditions, Seen } from './surroundings/conditions.ts';
import type { DayBook, DayPart } from './surroundings/day-book.ts';

/** What the owner of a lent computer sees. */
export interface NodeStatus {
  readonly id: NodeId;
  readonly label: string;
  /** `lending`, `resting` by itself, `paused` by its owner, or `stopping`: it finishes what it has. */
  readonly state: 'lending' | 'resting' | 'paused' | 'stopping';
  /** Why it rests. */
  readonly resting: readonly RestReason[];
  readonly upMs: number;
  readonly computer: Omit<Machine, 'boot'>;
  readonly superNodes: readonly SuperNodeStatus[];
  readonly offer: Omit<Offer, 'v' | 'lastBatch'>;
  readonly running: number;
  readonly busyMiB: number;
  readonly jobs: TallyCounts;
  /** Jobs that super nodes did not settle. */
  readonly claims: ClaimCounts;
  /** Challenges about code that this node holds. */
  readonly challenges: ChallengeCounts;
  /** Images on their way; nodes of before say nothing of them. */
  readonly fetching?: readonly PullProgress[];
  /** What was refused lately and why, newest first. */
  readonly refused: readonly Refusal[];
  readonly settings: Settings;
  readonly seen: Seen;
  /** The last 24 hours in halves of hours, newest last. */
  readonly day: readonly DayPart[];
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
  readonly fetching: () => readonly PullProgress[];
  readonly desk: JobDesk;
  readonly tally: Tally;
  readonly shelf: SeedShelf;
  readonly node: LentNode;
  readonly links: SuperLinks;
  readonly machine: Machine;
  readonly settings: OwnerSettings;
  readonly conditions: Conditions;
  readonly day: DayBook;
}

export function nodeStatus(sources: NodeStatusSources): NodeStatus {
  const { boot: _boot, ...computer } = sources.machine;
  const { lending, node, accounts, desk } = sources;
  const { v: _, lastBatch: __, ...offer } = node.offer(accounts[0]!);
  return {
    id: sources.id,
    label: sources.label,
    state: stateOf(lending),
    resting: lending.resting,
    computer,
    upMs: sources.nowMs() - sources.startedMs,
    superNodes: sources.links.states.map((state, i) => superNodeStatus(sources, accounts[i]!, state)),
    offer,
    running: desk.running,
    busyMiB: desk.busyMiB,
    jobs: sources.tally.counts(),
    claims: sources.duties.claims,
    challenges: sources.duties.challenges,
    fetching: sources.fetching(),
    refused: sources.tally.lately,
    settings: sources.settings.now,
    seen: sources.conditions.seen,
    day: sources.day.parts,
    versions: Array.from(sources.shelf.versions, ({ name, version, manifest }) => ({ name, version, memoryMiB: manifest.memoryMiB })),
  };
}

function stateOf(lending: Lending): NodeStatus['state'] {
  if (lending.stopping) return 'stopping';
  if (lending.paused) return 'paused';
  return lending.resting.length > 0 ? 'resting' : 'lending';
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
