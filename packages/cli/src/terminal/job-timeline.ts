import { formatUs } from './format.ts';
import type { Style } from './style.ts';
import { pad } from './table.ts';

/** Times of a job, microseconds; what is not known yet is undefined or null. */
export interface TimelineTimes {
  readonly prcUs: number;
  readonly prvUs: number;
  readonly cmpUs: number;
  readonly rspUs?: number | null | undefined;
  readonly bilUs?: number | null | undefined;
}

const barWidth = 40;

/**
 * A job as a little chart, one line for each of the times that ChainFaaS names. The first four share one axis, from
 * "request read" to "last byte out"; billing comes later by orders of magnitude and has only its number.
 */
export function renderTimeline({ prcUs, prvUs, cmpUs, rspUs, bilUs }: TimelineTimes, style: Style): string {
  const end = Math.max(rspUs ?? 0, prcUs + cmpUs, prvUs, 1);
  const line = (name: string, fromUs: number, toUs: number, meaning: string) =>
    `  ${style.strong(pad(name, 5))}  ${pad(formatUs(toUs - fromUs), 9, 'right')}  ${style.accent(bar(fromUs / end, toUs / end))}  ${style.quiet(meaning)}`;
  return [
    line('T_prc', 0, prcUs, 'request read → node has the job'),
    line('T_prv', 0, prvUs, 'until the handler starts'),
    line('T_cmp', prcUs, prcUs + cmpUs, 'setup and run on the node'),
    typeof rspUs === 'number' ? line('T_rsp', 0, rspUs, 'request read → last byte out') : unknown('T_rsp', 'not received', style),
    typeof bilUs === 'number'
      ? `  ${style.strong('T_bil')}  ${pad(formatUs(bilUs), 9, 'right')}  ${' '.repeat(barWidth)}  ${style.quiet('finished → paid on the ledger')}`
      : unknown('T_bil', 'not paid yet', style),
  ].join('\n');
}

function unknown(name: string, meaning: string, style: Style): string {
  return `  ${style.strong(pad(name, 5))}  ${pad('–', 9, 'right')}  ${' '.repeat(barWidth)}  ${style.quiet(meaning)}`;
}

/** A stretch of the axis; at least one mark wide, so that the shortest time is seen. */
function bar(fromShare: number, toShare: number): string {
  const from = Math.min(barWidth - 1, Math.floor(fromShare * barWidth));
  const to = Math.min(barWidth, Math.max(from + 1, Math.round(toShare * barWidth)));
  return `${'·'.repeat(from)}${'█'.repeat(to - from)}${'·'.repeat(barWidth - to)}`;
}
