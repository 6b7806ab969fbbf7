import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Machine } from '../measure/machine.ts';
import type { Report } from './report.ts';
import { noiseLines, tablesOf } from './tables.ts';
import { markdownTable, type Table } from './table.ts';

const page = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));

/** Puts a run's figures in their places in `docs/performance.md`; the words around them are people's. */
export async function writePerformancePage(report: Report): Promise<void> {
  await writeFile(page, updatePage(await readFile(page, 'utf8'), report));
}

/** Puts tables, and what is to be said about them, in one place of the page. @throws Error when it has lost that place */
export async function writeBlock(name: string, tables: readonly Table[], lines: readonly string[]): Promise<void> {
  await writeFile(page, replaceBlock(await readFile(page, 'utf8'), name, blockOf(tables, lines)));
}

/**
 * The page with the report's figures. A run under the profiler is slower than the truth, so it fills in the profiles
 * alone; any other run fills in the tables that it has measured and leaves the others as they are.
 * @throws Error when the page has lost a place
 */
export function updatePage(text: string, report: Report): string {
  const isProfile = ({ title }: Table) => title.startsWith('Self time');
  const profiles = tablesOf(report).filter(isProfile);
  if (profiles.length > 0) return replaceBlock(text, 'profiles', blockOf(profiles, []));
  return report.comparisons.reduce((before, comparison) => {
    const own = { ...report, comparisons: [comparison] };
    return replaceBlock(before, comparison.id, blockOf(tablesOf(own), conditions(own)));
  }, text);
}

/** On what, and when, something was measured. */
export function conditionsLine(date: string, { processor, cores, memoryGiB, system, node }: Machine): string {
  return `Measured on ${date}: ${processor}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node ${node}.`;
}

function conditions(report: Report): readonly string[] {
  const left = report.comparisons.flatMap((comparison) => comparison.left).map(({ id, reason }) => `Left out: \`${id}\`. ${reason}`);
  return [conditionsLine(report.date, report.machine), ...noiseLines(report), ...left];
}

function blockOf(tables: readonly Table[], lines: readonly string[]): string {
  return [...tables.map(markdownTable), lines.map((line) => `- ${line.trim()}`).join('\n')].join('\n');
}

/** Puts content between the marks of a place. @throws Error when the page has lost them */
export function replaceBlock(text: string, name: string, content: string): string {
  const [open, close] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const from = text.indexOf(open);
  const to = text.indexOf(close);
  if (from < 0 || to < from) throw new Error(`docs/performance.md has no place for ${name}: put ${open} and ${close} back.`);
  return `${text.slice(0, from + open.length)}\n${content.trimEnd()}\n${text.slice(to)}`;
}
