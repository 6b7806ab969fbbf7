import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine } from '../../../bench/measure/machine.ts';
import { machineCpuUs } from '../../../bench/measure/processes.ts';
import { percent } from '../../../bench/report/figures.ts';
import { replaceBlock } from '../../../bench/report/performance-page.ts';
import { markdownTable, terminalTable } from '../../../bench/report/table.ts';
import { inFolder } from './in-folder.ts';
import type { Lifecycles } from './lifecycles.ts';
import type { Filled, Reopened } from './on-disk.ts';
import { canPin, measurePinned } from './pinned.ts';
import type { RawLimits } from './raw-limits.ts';
import { ledgerTables, type LedgerReport } from './tables.ts';
import { shapes } from './workload.ts';

const usage = `npm run bench -- ledger: how fast the embedded ledger settles jobs, pinned to one core

  --rows N     jobs of one round (default 200000)
  --rounds N   rounds of each shape; medians are shown (default 3)
  --jobs N     jobs on the disk for memory and starts; 0: leave them out (default 1000000; the goal is for 10000000)
  --json FILE  write every figure to a file
  --write      write the tables to docs/performance.md
  --help       show this

TMPDIR chooses the disk. A million jobs take half a gigabyte there.`;

const page = fileURLToPath(new URL('../../../docs/performance.md', import.meta.url));
const started = machineCpuUs();

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '200000' },
    rounds: { type: 'string', default: '3' },
    jobs: { type: 'string', default: '1000000' },
    json: { type: 'string' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(usage);
} else {
  const report = await measure({ rows: Number(values.rows), rounds: Number(values.rounds), jobs: Number(values.jobs) });
  const tables = ledgerTables(report);
  for (const table of tables) console.log(terminalTable(table));
  console.log(conditions());
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(report, null, 1)}\n`);
  if (values.write) {
    const text = [`- ${conditions()}`, '', ...tables.map(markdownTable)].join('\n');
    await writeFile(page, replaceBlock(await readFile(page, 'utf8'), 'ledger-alone', text));
  }
}

async function measure({ rows, rounds, jobs }: { rows: number; rounds: number; jobs: number }): Promise<LedgerReport> {
  const progress = (what: string) => console.error(`· ${what}`);
  progress('raw limits');
  const raw = await measurePinned<RawLimits>('raw');
  const lifecycles = shapes.map((shape) => ({ shape, rounds: [] as Lifecycles[] }));
  // In turn, so that a machine that slows down for a while slows all of them.
  for (let round = 1; round <= rounds; round++) {
    for (const [i, { shape, rounds: done }] of lifecycles.entries()) {
      progress(`round ${round} of ${rounds}: ${shape.name}`);
      done.push(await measurePinned<Lifecycles>('lifecycles', i, rows));
    }
  }
  if (jobs === 0) return { raw, lifecycles, disk: undefined };
  const disk = await inFolder(async (folder) => {
    progress(`${jobs.toLocaleString('en')} jobs on the disk`);
    const filled = await measurePinned<Filled>('fill', folder, jobs);
    progress('starting again');
    const checkpoint = await measurePinned<Reopened>('reopen', folder, 'checkpoint');
    const logAlone = await measurePinned<Reopened>('reopen', folder, 'log');
    return { filled, checkpoint, logAlone };
  });
  return { raw, lifecycles, disk };
}

function conditions(): string {
  const { processor, cores, memoryGiB, system, node } = describeMachine();
  const date = new Date().toISOString().slice(0, 10);
  const now = machineCpuUs();
  const busy = started && now ? (now.busy - started.busy) / (now.total - started.total) : undefined;
  const others = busy === undefined ? '' : ` ${percent(busy)} of all cores were busy; one of ${cores} is this bench’s own.`;
  const pinned = canPin() ? 'Tied to one core.' : 'Not tied to one core: this system has no taskset.';
  return `Measured on ${date}: ${processor}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node ${node}. ${pinned}${others}`;
}
