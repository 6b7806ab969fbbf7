/** Who moves a state machine on. */
export type Mover = 'gateway' | 'scheduler' | 'node' | 'caller' | 'contract' | 'clock';

/** One permitted move. */
export interface Transition<State extends string> {
  readonly from: State;
  readonly to: State;
  /** Who moves it. */
  readonly by: Mover;
  /** What proves the move to a third party. */
  readonly proof: string;
  /** What the ledger keeps of it. */
  readonly ledger: string;
  /** Who pays for what has run by then. */
  readonly pays: 'nobody' | 'payer' | 'refund';
}

/** What a caller asked for. Idempotency and asynchronous status belong to it. */
export const callStates = ['queued', 'assigned', 'running', 'done', 'failed', 'cancelled', 'dead'] as const;
/** A state of a call. */
export type CallState = (typeof callStates)[number];

/** Every permitted move of a call. */
export const callTransitions: readonly Transition<CallState>[] = [
  { from: 'queued', to: 'assigned', by: 'scheduler', proof: 'ticket', ledger: 'nothing', pays: 'nobody' },
  {
    from: 'queued',
    to: 'failed',
    by: 'scheduler',
    proof: 'none: no node fitted in time',
    ledger: 'nothing',
    pays: 'nobody',
  },
  { from: 'queued', to: 'cancelled', by: 'caller', proof: 'the caller hung up', ledger: 'nothing', pays: 'nobody' },
  { from: 'assigned', to: 'running', by: 'node', proof: 'start frame', ledger: 'nothing', pays: 'nobody' },
  {
    from: 'assigned',
    to: 'queued',
    by: 'scheduler',
    proof: 'link lost or job refused before start',
    ledger: 'the failed job',
    pays: 'nobody',
  },
  {
    from: 'assigned',
    to: 'cancelled',
    by: 'caller',
    proof: 'the caller hung up',
    ledger: 'the failed job',
    pays: 'nobody',
  },
  { from: 'running', to: 'done', by: 'node', proof: 'receipt', ledger: 'the job', pays: 'payer' },
  { from: 'running', to: 'failed', by: 'node', proof: 'receipt with a fault', ledger: 'the job', pays: 'payer' },
  {
    from: 'running',
    to: 'queued',
    by: 'scheduler',
    proof: 'link lost; function idempotent, a retry left',
    ledger: 'the failed job',
    pays: 'nobody',
  },
  {
    from: 'running',
    to: 'dead',
    by: 'scheduler',
    proof: 'link lost; function not idempotent, or no retry left',
    ledger: 'the failed job',
    pays: 'nobody',
  },
  {
    from: 'running',
    to: 'cancelled',
    by: 'caller',
    proof: 'cancel frame, receipt for what ran',
    ledger: 'the job',
    pays: 'payer',
  },
];

/** One attempt or replica of a call on one node. Money and the monitoring ledger belong to it. */
export const jobStates = ['assigned', 'setting-up', 'running', 'done', 'received', 'paid', 'refunded', 'failed', 'expired'] as const;
/** A state of a job. */
export type JobState = (typeof jobStates)[number];

/** Every permitted move of a job. */
export const jobTransitions: readonly Transition<JobState>[] = [
  { from: 'assigned', to: 'setting-up', by: 'node', proof: 'none needed', ledger: 'nothing', pays: 'nobody' },
  {
    from: 'assigned',
    to: 'failed',
    by: 'node',
    proof: 'refusal, or the link was lost',
    ledger: 'job with fault',
    pays: 'nobody',
  },
  {
    from: 'assigned',
    to: 'expired',
    by: 'clock',
    proof: 'ticket past not-after',
    ledger: 'job with fault',
    pays: 'nobody',
  },
  { from: 'setting-up', to: 'running', by: 'node', proof: 'none needed', ledger: 'nothing', pays: 'nobody' },
  {
    from: 'setting-up',
    to: 'failed',
    by: 'node',
    proof: 'receipt with a fault',
    ledger: 'job with fault',
    pays: 'nobody',
  },
  {
    from: 'setting-up',
    to: 'expired',
    by: 'clock',
    proof: 'ticket past not-after',
    ledger: 'job with fault',
    pays: 'nobody',
  },
  {
    from: 'running',
    to: 'done',
    by: 'node',
    proof: 'receipt under the node’s signed root',
    ledger: 'times, result hash, outcome, cost',
    pays: 'nobody',
  },
  {
    from: 'running',
    to: 'failed',
    by: 'node',
    proof: 'receipt with a fault that is not billed',
    ledger: 'job with fault',
    pays: 'nobody',
  },
  { from: 'running', to: 'failed', by: 'scheduler', proof: 'link lost', ledger: 'job with fault', pays: 'nobody' },
  {
    from: 'running',
    to: 'expired',
    by: 'clock',
    proof: 'ticket past not-after',
    ledger: 'job with fault',
    pays: 'nobody',
  },
  {
    from: 'done',
    to: 'received',
    by: 'gateway',
    proof: 'acknowledgement signed by the super node',
    ledger: 'received',
    pays: 'nobody',
  },
  {
    from: 'done',
    to: 'paid',
    by: 'clock',
    proof: 'ticket and receipt, no acknowledgement within the grace window',
    ledger: 'payment',
    pays: 'payer',
  },
  {
    from: 'done',
    to: 'paid',
    by: 'contract',
    proof: 'votes of a quorum of peers, in a dispute',
    ledger: 'payment',
    pays: 'payer',
  },
  {
    from: 'done',
    to: 'expired',
    by: 'clock',
    proof: 'not received, and nobody has decided otherwise within the dispute window',
    ledger: 'job with fault',
    pays: 'nobody',
  },
  {
    from: 'failed',
    to: 'done',
    by: 'node',
    proof: 'ticket under the super node’s root, receipt, and the super node’s word that the job was lost',
    ledger: 'times, result hash, outcome, cost',
    pays: 'nobody',
  },
  {
    from: 'received',
    to: 'paid',
    by: 'contract',
    proof: 'receipt and acknowledgement are both in, in either order',
    ledger: 'payment',
    pays: 'payer',
  },
  {
    from: 'paid',
    to: 'refunded',
    by: 'contract',
    proof: 'dispute decided inside the dispute window',
    ledger: 'refund',
    pays: 'refund',
  },
];

/**
 * States that nothing leads out of. A paid job is closed too, but for a refund inside the dispute window; so is a
 * failed one, but for the node's answer to the word that it was lost.
 */
export const terminalCallStates = ['done', 'failed', 'cancelled', 'dead'] as const satisfies readonly CallState[];
/** The same for jobs. */
export const terminalJobStates = ['refunded', 'expired'] as const satisfies readonly JobState[];

/** True when the table permits the move. */
export function canMove<State extends string>(table: readonly Transition<State>[], from: State, to: State): boolean {
  return table.some((move) => move.from === from && move.to === to);
}
