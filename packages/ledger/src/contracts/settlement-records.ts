import {
  closedRowText,
  rowsRoot,
  rowsRootFromProof,
  stateKeys,
  type ClosedRow,
  type RowProof,
  type SettlementRecord,
  type SettlementsRecord,
  type SuperNodeId,
} from '@orb/protocol';
import type { Context } from './context.ts';

/** Records past their time that one settlement clears away: more than the one it adds, so that they never pile up. */
const clearedTogether = 2;

/** Keeps the root of what a settlement closed, until that can no longer be disputed; clears away what is past its time. */
export function keepSettlement({ state, env }: Context, superNode: SuperNodeId, rows: readonly string[]): void {
  const { disputeWindowMs } = env.parameters;
  if (disputeWindowMs === 0) return;
  const pointer = stateKeys.settlements(superNode);
  const { first, next } = state.read<SettlementsRecord>(pointer) ?? { first: 1, next: 1 };
  let kept = first;
  for (let i = 0; i < clearedTogether && kept < next; i++, kept++) {
    const key = stateKeys.settlement(superNode, kept);
    if (state.read<SettlementRecord>(key)!.until >= env.time) break;
    state.delete(key);
  }
  const record: SettlementRecord = {
    number: next,
    height: env.height,
    time: env.time,
    until: env.time + disputeWindowMs,
    count: rows.length,
    root: rowsRoot(rows),
  };
  state.put(stateKeys.settlement(superNode, next), record);
  state.put(pointer, { first: kept, next: next + 1 } satisfies SettlementsRecord);
}

/** What is said of a closed job, and the proof. */
export interface ClosedClaim {
  readonly settlement: number;
  readonly row: ClosedRow;
  readonly proof: RowProof;
}

/** The settlement that closed a job as the row says; or why it has not: `gone` when it can no longer be disputed, `bad-signature`. */
export function findSettlement(
  context: Context,
  superNode: SuperNodeId,
  { settlement, row, proof }: ClosedClaim,
): SettlementRecord | { readonly code: 'gone' | 'bad-signature'; readonly message: string } {
  const record = context.state.read<SettlementRecord>(stateKeys.settlement(superNode, settlement));
  if (!record || context.env.time >= record.until)
    return { code: 'gone', message: `What the settlement ${settlement} closed can no longer be disputed.` };
  if (proof.count !== record.count || rowsRootFromProof(closedRowText(row), proof) !== record.root)
    return { code: 'bad-signature', message: `The settlement ${settlement} has not closed the job like this.` };
  return record;
}
