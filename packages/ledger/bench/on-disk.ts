import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Transaction } from '@orb/protocol';
import { openEmbeddedLedger } from '../src/embedded/index.ts';
import { createMemoryLedger } from '../src/memory/index.ts';
import type { Committed } from '../src/port.ts';
import { orderer, testGenesis, TestClock } from '../src/testing/network.ts';
import { shapes, Workload } from './workload.ts';

/** What a process does while it holds a ledger of many jobs. */
export interface Filled {
  readonly jobs: number;
  readonly peakMiB: number;
  readonly gibOnDisk: number;
}

/** What a start after a crash takes. */
export interface Reopened {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** After the start, with some jobs settled on top. */
  readonly peakMiB: number;
}

/**
 * Settles so many jobs and dies as by kill -9. The settlements come from another process, as they would: their making
 * counts for nothing here.
 */
export async function fillAndCrash(folder: string, jobs: number): Promise<Filled> {
  // It goes on: what can no longer be disputed leaves the state.
  const start = new TestClock().now - Date.now();
  const ledger = await openEmbeddedLedger({ folder, genesis: testGenesis(), ordererKey: orderer, clock: () => start + Date.now() });
  const making = spawn(process.execPath, [fileURLToPath(new URL('make-settlements.ts', import.meta.url)), String(jobs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const under: Promise<unknown>[] = [];
  for await (const line of createInterface({ input: making.stdout })) {
    under.push(ledger.submit(JSON.parse(line) as Transaction).then(requireAll));
    if (under.length >= 8) await Promise.all(under.splice(0));
  }
  await Promise.all(under);
  const gibOnDisk = (await stat(join(folder, 'blocks.log'))).size / 2 ** 30;
  return { jobs, peakMiB: peakMiB(), gibOnDisk };
}

/** Opens what a crash left, without its checkpoint when all jobs are to count as later than that. */
export async function reopen(folder: string, { checkpoint }: { readonly checkpoint: boolean }): Promise<Reopened> {
  if (!checkpoint) await rm(join(folder, 'checkpoint'), { recursive: true, force: true });
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  const ledger = await openEmbeddedLedger({ folder, ordererKey: orderer });
  const seconds = (performance.now() - start) / 1e3;
  const { user, system } = process.cpuUsage(cpu);
  await ledger.close();
  return { seconds, cpuSeconds: (user + system) / 1e6, peakMiB: peakMiB() };
}

/** Writes settlements as lines, for {@link fillAndCrash}: first everything that they stand on. */
export async function makeSettlements(jobs: number): Promise<void> {
  const clock = new TestClock();
  const ledger = await createMemoryLedger({ genesis: testGenesis(), ordererKey: orderer, clock: clock.read });
  const workload = await Workload.on(ledger, clock, shapes[0]!);
  const write = async (transaction: Transaction) => {
    if (!process.stdout.write(`${JSON.stringify(transaction)}\n`)) await once(process.stdout, 'drain');
  };
  for (let height = 1; height <= ledger.head.height; height++) {
    for (const transaction of (await ledger.block(height))!.transactions) await write(transaction);
  }
  for (let made = 0; made < jobs; made += workload.rowsPerTransaction) await write(workload.next().transaction);
}

function requireAll({ rejections }: Committed): void {
  if (rejections.length > 0) throw new Error(`A row was refused: ${rejections[0]!.message}`);
}

function peakMiB(): number {
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) / 1_024;
}
