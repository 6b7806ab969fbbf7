import type { ChainId, Parameters, SuperNodeId } from '@orb/protocol';
import type { Arrivals } from '../arrivals/arrivals.ts';
import type { RateLimit } from '../gateway/rate-limit.ts';
import type { FunctionRegistry } from '../registry/function-registry.ts';
import type { PeerRegistry } from '../peers/peer-registry.ts';
import type { NodeRegistry } from '../registry/node-registry.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import type { Allowances } from '../settlement/allowances.ts';
import type { Journal } from '../settlement/journal.ts';
import type { Settlement } from '../settlement/settlement.ts';
import type { Log } from '../log.ts';
import type { LogBook } from '../logs/log-book.ts';
import type { RecentJobs } from '../analytics/recent-jobs.ts';
import type { Dispatches } from '../relay/dispatches.ts';
import type { TicketRoots } from '../relay/ticket-roots.ts';
import type { TimeLimits } from './time-limits.ts';

/** What the steps of a call work with. */
export interface CallContext {
  readonly chain: ChainId;
  readonly log: Log;
  readonly superNode: SuperNodeId;
  readonly functions: FunctionRegistry;
  readonly nodes: NodeRegistry;
  readonly peers: PeerRegistry;
  readonly scheduler: Scheduler;
  /** Through which every call goes that a stranger makes. */
  readonly arrivals: Arrivals;
  /** Calls of one function, whoever makes them; undefined: no limit. */
  readonly functionLimit: RateLimit | undefined;
  readonly allowances: Allowances;
  readonly settlement: Settlement;
  readonly journal: Journal;
  readonly dispatches: Dispatches;
  /** Calls that run at other super nodes. */
  readonly forwards: TimeLimits;
  readonly ticketRoots: TicketRoots;
  readonly recentJobs: RecentJobs;
  readonly logs: LogBook;
  /** The network parameters in force. */
  parameters(): Parameters;
  /** True once the super node is on its way out. */
  readonly stopping: () => boolean;
  /** Wait for the disk, not only for the write, before a reply. */
  readonly durableReplies: boolean;
  /** The most bytes of a response that streams. */
  readonly streamBytes: number;
  /** Wall clock, milliseconds. */
  readonly nowMs: () => number;
  /** Monotonic clock, microseconds. */
  readonly nowUs: () => number;
}
