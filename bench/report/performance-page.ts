import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Report } from './report.ts';
import { noiseLines, tablesOf } from './tables.ts';
import { markdownTable, type Table } from './table.ts';

const page = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));

/** Puts a run's figures in their places in `docs/performance.md`; the words around them are people's. */
export async function writePerformancePage(report: Report): Promise<void> {
  await writeFile(page, updatePage(await readFile(page, 'utf8'), report));
}

/**
 * The page with the report's figures. A run under the profiler is slower than the truth, so it fills in the profiles
 * alone; any other run fills in everything but the profiles.
 * @throws Error when the page has lost a place
 */
export function updatePage(text: string, report: Report): string {
  const profiled = report.profiles.length > 0;
  const tables = tablesOf(report);
  const isProfile = ({ title }: Table) => title.startsWith('Self time');
  if (profiled) return replaceBlock(text, 'profiles', tables.filter(isProfile).map(markdownTable).join('\n'));
  const figures = replaceBlock(
    text,
    'figures',
    tables
      .filter((table) => !isProfile(table))
      .map(markdownTable)
      .join('\n'),
  );
  return replaceBlock(figures, 'conditions', conditions(report));
}

function conditions(report: Report): string {
  const { processor, cores, memoryGiB, system, node } = report.machine;
  const left = report.left.map(({ id, reason }) => `Left out: \`${id}\`. ${reason}`);
  return [
    `Measured on ${report.date}: ${processor}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node ${node}.`,
    ...noiseLines(report),
    ...left,
  ]
    .map((line) => `- ${line.trim()}`)
    .join('\n');
}

/** Puts content between the marks of a place. @throws Error when the page has lost them */
export function replaceBlock(text: string, name: string, content: string): string {
  const [open, close] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const from = text.indexOf(open);
  const to = text.indexOf(close);
  if (from < 0 || to < from) throw new Error(`docs/performance.md has no place for ${name}: put ${open} and ${close} back.`);
  return `${text.slice(0, from + open.length)}\n${content.trimEnd()}\n${text.slice(to)}`;
}
