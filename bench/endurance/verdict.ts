import type { Merged } from './merge-windows.ts';
import type { Table } from '../report/table.ts';

/** One thing that a long run was to show. */
export interface Verdict {
  readonly what: string;
  readonly measured: string;
  readonly goal: string;
  readonly kept: boolean;
  /** Wrong answers, errors and books: these make the bench fail. A matter of time or memory does so only where it is asked to. */
  readonly mustHold: boolean;
}

export function verdictTable(title: string, verdicts: readonly Verdict[]): Table {
  return {
    title,
    columns: ['what', 'measured', 'goal', 'verdict'],
    rows: verdicts.map(({ what, measured, goal, kept }) => [what, measured, goal, kept ? 'kept' : 'MISSED']),
  };
}

/** The verdicts that make the bench fail. @param strict every one that is missed */
export function failed(verdicts: readonly Verdict[], strict = false): readonly Verdict[] {
  return verdicts.filter(({ kept, mustHold }) => (mustHold || strict) && !kept);
}

export function wrongVerdict({ wrong }: Pick<Merged, 'wrong'>): Verdict {
  return { what: 'wrong answers', measured: String(wrong), goal: '0', kept: wrong === 0, mustHold: true };
}

/** Calls without an answer, and refusals that do not say when to come again; with `refusedToo` every refusal. */
export function errorsVerdict({ errors, refused, notSent }: Merged, { refusedToo = true } = {}): Verdict {
  const all = new Map(errors);
  if (refusedToo && refused > 0) all.set('refused', refused);
  if (refusedToo && notSent > 0) all.set('not sent', notSent);
  const measured = all.size === 0 ? '0' : Array.from(all, ([kind, times]) => `${kind} ×${times}`).join(', ');
  return { what: 'calls that failed', measured, goal: '0', kept: all.size === 0, mustHold: true };
}

export function booksVerdict(wrong: readonly string[]): Verdict {
  const measured = wrong.length === 0 ? 'one job on the ledger for each answer' : wrong.join('; ');
  return { what: 'books', measured, goal: 'balanced', kept: wrong.length === 0, mustHold: true };
}
