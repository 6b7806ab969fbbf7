import type { NodeStatus } from '@orb/node';
import { cleanText } from '../terminal/clean-text.ts';
import { renderBars } from '../terminal/bars.ts';
import { formatBytes, formatMoney, formatUs, shortId } from '../terminal/format.ts';
import type { Style } from '../terminal/style.ts';
import { pad, renderFacts } from '../terminal/table.ts';

const partMs = 1_800_000;
const partsShown = 48;
const refusalsShown = 5;
const namesShown = 8;

/** A lent computer as its owner reads it: 80 columns. */
export function describeNode(status: NodeStatus, style: Style, nowMs: number): string {
  const { offer } = status;
  const paint = { lending: style.good, resting: style.warn, paused: style.warn, stopping: style.warn }[status.state];
  const why = status.resting.map(({ words }) => words).join('; ');
  const head = [
    style.strong(cleanText(status.label)),
    paint(status.state === 'resting' ? `resting: ${why}` : status.state),
    style.quiet(shortId(status.id)),
    style.quiet(`up ${formatUs(status.upMs * 1_000)}`),
  ].join(' ');
  const facts: (readonly [string, string])[] = [
    ['offers', `${offer.cores} cores, ${offer.memoryMiB} MiB, ${offer.slots} slots, ${offer.rate} units per MiB·ms`],
    ['isolation', `${offer.isolation}; runs ${offer.runtimes.join(', ') || 'nothing'}`],
    ['running', `${status.running} jobs, ${status.busyMiB} MiB`],
    ['done', describeTally(status.jobs)],
    ...describeClaims(status),
    ['holds', describeHeld(status)],
    ...(status.fetching ?? []).map((pull) => ['fetches', describePull(pull)] as const),
    ['around it', describeSeen(status)],
    ...status.superNodes.map((superNode) => ['super node', describeLink(superNode, style)] as const),
  ];
  return [head, renderFacts(facts, style, '  '), ...describeDay(status, style, nowMs), ...describeRefusals(status, style)].join('\n');
}

function describeTally({ done, outcomes, askedUnits }: NodeStatus['jobs']): string {
  const details = Object.entries(outcomes)
    .filter(([name]) => name !== 'ok')
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
  return `${done} jobs${details && ` (${details})`}, worth ${formatMoney(askedUnits)}`;
}

function describeClaims({ claims: { claimed, settled, unpaid, open } }: NodeStatus): [string, string][] {
  if (claimed + settled + unpaid + open === 0) return [];
  return [['claims', `${claimed} jobs brought to the ledger, ${open} under way, ${unpaid} stay unpaid`]];
}

function describeHeld({ versions }: NodeStatus): string {
  if (versions.length === 0) return 'no function yet';
  const more = versions.length - namesShown;
  const names = versions.slice(0, namesShown).map(({ name }) => cleanText(name));
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function describePull({ image, receivedBytes, totalBytes }: NonNullable<NodeStatus['fetching']>[number]): string {
  const of = totalBytes > 0 ? ` of ${formatBytes(totalBytes)}, ${Math.min(100, Math.round((receivedBytes / totalBytes) * 100))} %` : '';
  return `${cleanText(image.replace(/@.*/, ''), { limit: 60 })}: ${formatBytes(receivedBytes)}${of}`;
}

function describeSeen({ seen: { otherLoadPercent, idleMs, idleFrom, onBattery }, settings }: NodeStatus): string {
  const words = [otherLoadPercent === undefined ? 'load not known yet' : `other programs use ${Math.round(otherLoadPercent)} %`];
  if (settings.onlyWhenIdleMs > 0)
    words.push(
      idleMs === undefined ? `idleness is not known here (${idleFrom})` : `untouched for ${formatUs(idleMs * 1_000)} (${idleFrom})`,
    );
  if (onBattery !== undefined) words.push(onBattery ? 'on its battery' : 'on mains');
  return words.join(', ');
}

function describeLink({ address, linked, rttMs, lastError, unsettled }: NodeStatus['superNodes'][number], style: Style): string {
  const words = linked
    ? style.good(`linked${rttMs === undefined ? '' : `, ${rttMs.toFixed(1)} ms`}`)
    : style.warn(`not linked${lastError ? `: ${cleanText(lastError)}` : ''}`);
  return `${cleanText(address)} ${words}${unsettled > 0 ? style.quiet(`, ${unsettled} receipts wait for payment`) : ''}`;
}

/** The last 24 hours, a character for half an hour. */
function describeDay({ day, computer: { cores } }: NodeStatus, style: Style, nowMs: number): string[] {
  if (day.length === 0) return [];
  const firstMs = (Math.floor(nowMs / partMs) - partsShown + 1) * partMs;
  const byTime = new Map(day.map((part) => [part.fromMs, part]));
  const parts = Array.from({ length: partsShown }, (_, i) => byTime.get(firstMs + i * partMs));
  const share = (seconds: (part: NodeStatus['day'][number]) => number) =>
    parts.map((part) => part && (part.seconds > 0 ? seconds(part) / part.seconds : 0));
  const total = (of: (part: NodeStatus['day'][number]) => number) => day.reduce((sum, part) => sum + of(part), 0);
  const seconds = total((part) => part.seconds);
  const perCent = (part: number, of: number) => `${Math.round(of > 0 ? (part / of) * 100 : 0)} %`;
  const units = day.reduce((sum, part) => sum + BigInt(part.units), 0n);
  const rows: (readonly [string, string, string])[] = [
    [
      'functions',
      renderBars(
        share((part) => part.ownSeconds),
        cores,
      ),
      perCent(
        total((part) => part.ownSeconds),
        seconds * cores,
      ),
    ],
    [
      'others',
      renderBars(
        share((part) => part.otherSeconds),
        cores,
      ),
      perCent(
        total((part) => part.otherSeconds),
        seconds * cores,
      ),
    ],
    [
      'lent',
      renderBars(
        share((part) => part.lentSeconds),
        1,
      ),
      perCent(
        total((part) => part.lentSeconds),
        seconds,
      ),
    ],
    ['jobs', renderBars(parts.map((part) => part?.jobs)), String(total((part) => part.jobs))],
  ];
  return [
    '',
    `  ${style.quiet(pad('the day', 10))}  ${style.quiet(axis(firstMs))}`,
    ...rows.map(([name, bars, sum]) => `  ${style.quiet(pad(name, 10))}  ${style.accent(bars)}  ${sum}`),
    `  ${style.quiet(pad('earned', 10))}  ${formatMoney(units)} in these hours, before the network’s share`,
  ];
}

/** The hours under their bars, every four. */
function axis(firstMs: number): string {
  const line = Array.from({ length: partsShown }, () => ' ');
  for (let i = 0; i < partsShown; i++) {
    const at = new Date(firstMs + i * partMs);
    if (at.getHours() % 4 !== 0 || at.getMinutes() !== 0 || i > partsShown - 5) continue;
    Array.from(`${String(at.getHours()).padStart(2, '0')}:00`).forEach((char, offset) => (line[i + offset] = char));
  }
  return `${line.join('').slice(0, partsShown - 3)}now`;
}

function describeRefusals({ refused }: NodeStatus, style: Style): string[] {
  if (refused.length === 0) return [];
  const lines = refused.slice(0, refusalsShown).map(({ what, words, times, lastMs }) => {
    const at = new Date(lastMs);
    const time = `${String(at.getHours()).padStart(2, '0')}:${String(at.getMinutes()).padStart(2, '0')}`;
    const count = times > 1 ? `${times}× ` : '';
    return `    ${style.quiet(time)}  ${what === 'seed' ? 'to hold ' : 'a job: '}${count}${cleanText(words, { limit: 160 })}`;
  });
  return ['', `  ${style.quiet('refused lately')}`, ...lines];
}
