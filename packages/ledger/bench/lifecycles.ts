import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Block, Genesis } from '@orb/protocol';
import { openEmbeddedLedger, readLog } from '../src/embedded/index.ts';
import { verifyLedger } from '../src/index.ts';
import type { Ledger } from '../src/port.ts';
import { orderer, testGenesis, TestClock } from '../src/testing/network.ts';
import { inFolder } from './in-folder.ts';
import { Workload, type Settlement, type Shape } from './workload.ts';

/** Part of the settlements that run before anything is counted. */
const warmUp = 0.1;

export interface Lifecycles {
  readonly rows: number;
  readonly rowsPerSecond: number;
  /** Processor time of the whole process, kernel and threads included. */
  readonly cpuUsPerRow: number;
  readonly bytesPerRow: number;
  /** From handing a settlement in until it is on the disk, with one settlement of each super node under way. */
  readonly durableMs: { readonly p50: number; readonly p99: number };
  /** Running everything again from the file, signatures and roots included. */
  readonly verifyRowsPerSecond: number;
  readonly verifyCpuUsPerRow: number;
  readonly refusedRows: number;
}

/** Settles rows of a shape on a new embedded ledger and runs them again from its file. */
export async function measureLifecycles(shape: Shape, rows: number): Promise<Lifecycles> {
  return inFolder(async (folder) => {
    const clock = new TestClock();
    const genesis = testGenesis();
    const ledger = await openEmbeddedLedger({ folder, genesis, ordererKey: orderer, clock: clock.read });
    const workload = await Workload.on(ledger, clock, shape);
    const { refused } = await workload.checkProofsCount();
    const staged = ledger.head.height;
    const bytesOnDisk = async () => (await stat(join(folder, 'blocks.log'))).size;
    const { settled, settledRows, bytes } = await settleLive(ledger, workload, rows, bytesOnDisk);
    const { head } = ledger;
    await ledger.close();

    const verified = await verifyFrom(staged, genesis, folder);
    if (verified.state !== head.state) throw new Error('Running the ledger again has led elsewhere.');
    return {
      rows: settledRows,
      rowsPerSecond: settledRows / settled.seconds,
      cpuUsPerRow: settled.cpuUs / settledRows,
      bytesPerRow: bytes / settledRows,
      durableMs: { p50: percentile(settled.result, 0.5), p99: percentile(settled.result, 0.99) },
      verifyRowsPerSecond: verified.jobs / verified.seconds,
      verifyCpuUsPerRow: verified.cpuUs / verified.jobs,
      refusedRows: refused,
    };
  });
}

/** Everything that is settled exists before the clock starts, and is forgotten with this call. */
async function settleLive(ledger: Ledger, workload: Workload, rows: number, bytesOnDisk: () => Promise<number>) {
  const settlements = Array.from({ length: Math.ceil(rows / workload.rowsPerTransaction) }, () => workload.next());
  const warm = Math.ceil(settlements.length * warmUp);
  await settleInLines(ledger, settlements.slice(0, warm), workload.lines);
  const before = await bytesOnDisk();
  const counted = settlements.slice(warm);
  const settled = await settleInLines(ledger, counted, workload.lines);
  const bytes = (await bytesOnDisk()) - before;
  await workload.checkBooks(settlements.length * workload.rowsPerTransaction);
  return { settled, settledRows: counted.length * workload.rowsPerTransaction, bytes };
}

/** Hands settlements in, those of one line one after the other. @returns how long each took, milliseconds */
function settleInLines(
  ledger: Ledger,
  settlements: readonly Settlement[],
  lines: number,
): Promise<{ readonly result: readonly number[]; readonly seconds: number; readonly cpuUs: number }> {
  return timed(async () => {
    const latencies: number[] = [];
    const settleLine = async (line: number): Promise<void> => {
      for (const { transaction } of settlements.filter((settlement) => settlement.line === line)) {
        const sent = performance.now();
        const { rejections } = await ledger.submit(transaction);
        if (rejections.length > 0) throw new Error(`A row was refused: ${rejections[0]!.message}`);
        latencies.push(performance.now() - sent);
      }
    };
    await Promise.all(Array.from({ length: lines }, (_, line) => settleLine(line)));
    return latencies;
  });
}

/** Runs a ledger again; the clock starts when everybody is registered, as it does for the live run. */
async function verifyFrom(
  staged: number,
  genesis: Genesis,
  folder: string,
): Promise<{ readonly state: string; readonly jobs: number; readonly seconds: number; readonly cpuUs: number }> {
  let start = startWatch();
  const blocks = async function* (): AsyncGenerator<Block> {
    for await (const block of readLog(folder)) {
      yield block;
      if (block.header.height === staged) start = startWatch();
    }
  };
  const report = await verifyLedger(genesis, blocks());
  const spent = start();
  if (!report.ok) throw report.error;
  return { state: report.head.state, jobs: report.jobs, ...spent };
}

function startWatch(): () => { readonly seconds: number; readonly cpuUs: number } {
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return { seconds: (performance.now() - start) / 1e3, cpuUs: user + system };
  };
}

async function timed<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly seconds: number; readonly cpuUs: number }> {
  const spent = startWatch();
  const result = await work();
  return { result, ...spent() };
}

function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)]!;
}
