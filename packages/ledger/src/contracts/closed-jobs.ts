import { closedRowJobs, closedRowText, type AccountId, type ClosedRow, type OpenJobRecord, type TicketRow } from '@orb/protocol';

/** What an open job has set aside for its payment. */
export type Hold = OpenJobRecord['holds'];

/** What one job takes, base units. */
export interface Charge {
  /** For running it: shared out by the parameters. */
  readonly shared: bigint;
  /** For the function: its owner's alone. */
  readonly royalty: bigint;
}

/** A closed job on its way into its settlement's record. */
export interface Closed {
  readonly ticket: TicketRow;
  readonly node: string;
  readonly end: 'paid' | 'lost';
  readonly payer: AccountId;
  readonly charge: Charge;
  readonly from: Hold['of'];
}

type Job = ClosedRow[7][number];
type Kind = [node: string, end: Closed['end'], from: Hold['of'], allowance: string, payer: string, fn: string, parameters: number];

/**
 * What one settlement closed, in a form that follows from the set of jobs alone: jobs closed alike share rows, in order
 * of their sequence, and rows stand in order of their text. Whoever knows the jobs can make the rows again.
 */
export class ClosedJobs {
  readonly #groups: { readonly kind: Kind; readonly jobs: Job[] }[] = [];

  add({ ticket, node, end, payer, charge, from }: Closed): void {
    const kind: Kind = [node, end, from, ticket[0], payer, ticket[4], ticket[6]];
    const job: Job = [ticket[1], String(charge.shared), String(charge.royalty)];
    // Neighbours are mostly alike.
    const group = this.#groups.findLast((one) => isAlike(one.kind, kind));
    if (group) group.jobs.push(job);
    else this.#groups.push({ kind, jobs: [job] });
  }

  /** The rows. */
  rows(): ClosedRow[] {
    return this.#groups.flatMap(({ kind, jobs }) => {
      const sorted = jobs.toSorted(([a], [b]) => a - b);
      const count = Math.ceil(sorted.length / closedRowJobs);
      return Array.from({ length: count }, (_, i): ClosedRow => [...kind, sorted.slice(i * closedRowJobs, (i + 1) * closedRowJobs)]);
    });
  }

  /** The rows' texts in their order. */
  texts(): string[] {
    return this.rows().map(closedRowText).sort();
  }
}

function isAlike(a: Kind, b: Kind): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
