import { faultOfJob, receiptFromRow, stateKeys, ticketFromRow, type JobRecord, type Receipt } from '@orb/protocol';
import type { JobInfo, Orb } from '@orb/sdk';
import { formatBytes, formatInstant, formatMoney, formatUs, shortId } from '../terminal/format.ts';
import { renderTimeline } from '../terminal/job-timeline.ts';
import type { Style } from '../terminal/style.ts';
import { renderFacts } from '../terminal/table.ts';
import { cleanText } from '../terminal/clean-text.ts';

/** Names for the account and node ids that a job mentions. */
export interface JobNames {
  account(id: string): string;
  node(id: string): string;
  /** Number and memory limit of the version that ran; undefined when the ledger cannot be asked. */
  readonly version: number | undefined;
  readonly memoryMiB: number | undefined;
}

/** Looks up the names of everybody in a job; whoever cannot be found is shown by id. */
export async function namesOfJob(orb: Orb, { job }: JobInfo): Promise<JobNames> {
  const ids = [...new Set([job.developer, job.provider, ...job.payments.map(({ account }) => account)])].slice(0, 16);
  const accounts = await Promise.all(ids.map(async (id) => [id, (await orb.accounts.show(id).catch(() => undefined))?.name] as const));
  const node = (await orb.ledger.get(`node/${job.node}`).catch(() => undefined)) as { label?: unknown } | undefined;
  const ran = stateKeys.version(job.ticket[4], job.ticket[5]);
  const version = (await orb.ledger.get(ran).catch(() => undefined)) as
    | { readonly number?: unknown; readonly manifest?: { readonly memoryMiB?: unknown } }
    | undefined;
  const names = new Map(accounts.filter((entry): entry is readonly [string, string] => entry[1] !== undefined));
  return {
    account: (id) => names.get(id) ?? shortId(id),
    version: typeof version?.number === 'number' ? version.number : undefined,
    memoryMiB: typeof version?.manifest?.memoryMiB === 'number' ? version.manifest.memoryMiB : undefined,
    node: (id) => (typeof node?.label === 'string' && id === job.node ? cleanText(node.label) : shortId(id)),
  };
}

/** A job for programs: the ledger's record, and what follows from it in words of its own. */
export function jobResult(info: JobInfo, { version }: JobNames): object {
  const { job } = info;
  const [, , , , , id] = job.ticket;
  return {
    ...info,
    version: { id, number: version ?? null },
    outcome: job.receipt?.[8] ?? (job.state === 'failed' ? 'lost' : null),
    faultOf: faultOfJob(job as JobRecord),
    resultHash: job.receipt?.[7] ?? null,
    received: job.acknowledgement?.[0] ?? null,
    paid: job.state === 'paid',
  };
}

/** A job for people: who, what, the timeline, every change, who paid whom. */
export function describeJob(info: JobInfo, names: JobNames, style: Style): string {
  const { job, times, where } = info;
  const ticket = ticketFromRow(job.ticket);
  const receipt = job.receipt && receiptFromRow(job.receipt);
  const facts: [string, string][] = [
    [
      'function',
      `${cleanText(info.function ?? shortId(ticket.function))}, version ${names.version ?? '?'} ${style.quiet(shortId(ticket.version))}`,
    ],
    ['developer', names.account(job.developer)],
    ['node', `${names.node(job.node)} of ${names.account(job.provider)}`],
    ['super node', shortId(job.superNode)],
    ['attempt', `${ticket.attempt} of call ${ticket.call}`],
    ['outcome', outcomeWords(job as JobRecord, style)],
  ];
  if (receipt) facts.push(...describeMeasures(receipt, names, style));
  facts.push(['received', receivedWords(job.acknowledgement?.[0])]);
  if (where) facts.push(['ledger', `block ${where.height}, transaction ${shortId(where.transaction)}`]);
  return [
    `${style.strong('job')} ${job.id}  ${stateWord(job.state, style)}`,
    renderFacts(facts, style, '  '),
    ...(times ? ['', renderTimeline(times, style)] : []),
    '',
    ...describeChanges(job.changes, style),
    '',
    describePayment(info, names, style),
  ].join('\n');
}

/** What the node's host measured, and not the code. */
function describeMeasures(receipt: Receipt, { memoryMiB }: JobNames, style: Style): [string, string][] {
  const { setupUs, runUs, cpuUs, peakMemoryKiB, bytesIn, bytesOut, network, resultHash } = receipt;
  const isMeasured = peakMemoryKiB > 0;
  const limit = memoryMiB === undefined ? '' : style.quiet(`, of ${memoryMiB} MiB that are billed`);
  return [
    ['set-up', `${formatUs(setupUs)}${style.quiet(', not billed')}`],
    ['run', `${formatUs(runUs)}${style.quiet(`, billed as ${Math.ceil(runUs / 1_000)} ms`)}`],
    // A host that cannot measure says zero of both; one that can, where the clock of processor time is too coarse.
    ['CPU time', cpuUs > 0 ? formatUs(cpuUs) : style.quiet(isMeasured ? 'too short to be measured' : 'not measured')],
    ['memory', !isMeasured ? style.quiet('not measured') : `${formatBytes(peakMemoryKiB * 1_024)} at most${limit}`],
    ['bytes', `${formatBytes(bytesIn)} in, ${formatBytes(bytesOut)} out`],
    ...(network
      ? [['network', `${formatBytes(network.bytesOut)} sent, ${formatBytes(network.bytesIn)} received`] as [string, string]]
      : []),
    ['result', resultHash],
  ];
}

/** Where each state stands on the ledger; those of one block together. */
function describeChanges(changes: JobRecord['changes'], style: Style): string[] {
  const blocks = Map.groupBy(changes, ({ height }) => height);
  return Array.from(blocks, ([height, together]) => {
    const words = together.map(({ to }) => stateWord(to, style)).join(', ');
    return `  ${words} ${style.quiet(`in block ${height}, ${formatInstant(together[0]!.time)}`)}`;
  });
}

/** Who paid whom, and for what. */
export function describePayment({ job }: JobInfo, names: JobNames, style: Style): string {
  const paidAt = job.changes.find(({ to }) => to === 'paid');
  if (job.payments.length === 0)
    return `  ${style.quiet(job.state === 'failed' || job.state === 'expired' ? 'Nobody pays for this job.' : 'Not paid yet.')}`;
  const shares = job.payments.map(
    (payment) =>
      `    ${formatMoney(payment.units)} to ${style.strong(names.account(payment.account))} ${style.quiet(`(${payment.reason})`)}`,
  );
  return [
    `  ${style.strong(names.account(job.developer))} paid ${style.strong(formatMoney(job.cost))}${paidAt ? style.quiet(` in block ${paidAt.height}, ${formatInstant(paidAt.time)}`) : ''}`,
    ...shares,
  ].join('\n');
}

function outcomeWords(job: JobRecord, style: Style): string {
  const fault = faultOfJob(job);
  const outcome = job.receipt?.[8];
  if (outcome === 'ok' && fault === null) return style.good('ok');
  const words = outcome ?? (job.state === 'failed' ? 'lost' : job.state === 'expired' ? 'no receipt came' : 'not known yet');
  return fault === null ? words : `${style.bad(words)}, the fault of the ${fault}`;
}

function receivedWords(received: boolean | null | undefined): string {
  if (received === undefined) return 'the super node has not said';
  if (received === null) return 'not known yet';
  return received ? 'yes' : 'no';
}

function stateWord(state: string, style: Style): string {
  if (state === 'paid') return style.good(state);
  return state === 'failed' || state === 'expired' ? style.bad(state) : style.warn(state);
}
