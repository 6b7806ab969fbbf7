import { OrbError, stateKeys, type OpenJobRecord, type SuperNodeRecord, type TransactionBody } from '@orb/protocol';
import type { Context } from './context.ts';
import { JobBook } from './job-book.ts';
import { refusal, type Refusal } from './job-rules.ts';
import { expireJob, payHeld } from './job-steps.ts';
import { eachRow, openJobOf, type JobsOutcome } from './jobs.ts';

/** `job.conclude`: whoever likes moves on the open jobs whose time is up. */
export function concludeJobs(context: Context, { superNode, jobs }: TransactionBody<'job.conclude'>): JobsOutcome {
  const book = openBook(context, superNode);
  return eachRow(
    book,
    jobs,
    (id) => id,
    (id) => {
      const open = openJobOf(book, id);
      return 'code' in open ? open : concludeJob(book, open);
    },
  );
}

/** What the peers have decided about a job in dispute. */
export function decideDispute(context: Context, superNode: string, job: string, pay: boolean): JobsOutcome {
  const book = openBook(context, superNode);
  const open = openJobOf(book, job);
  if ('code' in open) throw new OrbError(open.code, { message: open.message });
  if (open.disputedUntil === undefined || !open.receipt) throw new OrbError('conflict', { message: 'The job is not in dispute.' });
  const refused = pay ? payHeld(book, open) : expireJob(book, open);
  if (refused) throw new OrbError(refused.code, { message: refused.message });
  book.close();
  return { rejections: [], changes: book.changes };
}

/** Books of a super node that need not have signed. @throws OrbError `not-found` */
function openBook(context: Context, id: string): JobBook {
  const superNode = context.state.read<SuperNodeRecord>(stateKeys.superNode(id));
  if (!superNode) throw new OrbError('not-found', { message: `There is no super node ${id}.` });
  return new JobBook(context, superNode);
}

function concludeJob(book: JobBook, job: OpenJobRecord): Refusal | undefined {
  const { time } = book.context.env;
  const due = dueOf(book, job);
  if (time <= due) return refusal('conflict', `Nothing can be concluded before ${new Date(due).toISOString()}.`);
  return job.receipt && job.disputedUntil === undefined ? payHeld(book, job) : expireJob(book, job);
}

/** When the time of an open job is up: for its dispute, for an answer, or for a receipt. */
function dueOf(book: JobBook, { ticket, receipt, answerBy, disputedUntil }: OpenJobRecord): number {
  if (disputedUntil !== undefined) return disputedUntil;
  if (receipt && answerBy !== undefined) return answerBy;
  const timeoutMs = book.version(ticket[4], ticket[5])?.timeoutMs ?? 0;
  return ticket[10] + timeoutMs + book.context.env.parameters.graceMs;
}
