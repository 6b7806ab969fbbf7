/*
 * How fast the embedded ledger settles jobs, by hand:
 *
 *   node packages/ledger/bench/settlement.ts [rows per run, default 100000] [folder]
 *   taskset -c 0 node --cpu-prof packages/ledger/bench/settlement.ts 200000
 *
 * Every row is under its node's signed root and the super node's signature. Signing happens before the clock starts.
 */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Signer, Transaction } from '@orb/protocol';
import { openEmbeddedLedger, readLog } from '../src/embedded/index.ts';
import { verifyLedger } from '../src/index.ts';
import { orderer, testGenesis, testJob, TestNetwork, TestClock, testSigner } from '../src/testing/network.ts';

const rows = Number(process.argv[2] ?? 100_000);
const base = process.argv[3] ?? tmpdir();
const inFlight = 64;

interface Shape {
  readonly name: string;
  readonly rowsPerBatch: number;
  readonly batchesPerTransaction: number;
  readonly nodes: number;
}

for (const shape of [
  { name: '256-row batches, 4 nodes', rowsPerBatch: 256, batchesPerTransaction: 1, nodes: 4 },
  { name: '5-row batches, 1,000 nodes', rowsPerBatch: 5, batchesPerTransaction: 51, nodes: 1_000 },
]) {
  await measure(shape);
}

async function measure(shape: Shape): Promise<void> {
  const folder = await mkdtemp(join(base, 'orb-ledger-bench-'));
  try {
    const clock = new TestClock();
    const genesis = testGenesis();
    let ledger = await openEmbeddedLedger({ folder, genesis, ordererKey: orderer, clock: clock.read });
    const net = new TestNetwork(ledger, clock);
    const transactions = await prepare(net, shape);
    const { seconds, latencies } = await settleAll(ledger, transactions);
    const settled = transactions.length * shape.batchesPerTransaction * shape.rowsPerBatch;
    const bytes = (await stat(join(folder, 'blocks.log'))).size;
    console.log(`\n${shape.name}: ${settled} rows in ${transactions.length} transactions and ${ledger.head.height} blocks`);
    console.log(
      `  settled    ${perSecond(settled, seconds)} rows/s, ${((seconds * 1e6) / settled).toFixed(1)} µs a row, ${(bytes / settled).toFixed(0)} bytes a row`,
    );
    console.log(
      `  durable    p50 ${percentile(latencies, 0.5)} ms, p99 ${percentile(latencies, 0.99)} ms with ${inFlight} transactions in flight`,
    );
    const lone = await loneLatencies(net);
    console.log(`  alone      p50 ${percentile(lone, 0.5)} ms, p99 ${percentile(lone, 0.99)} ms for one small transaction at a time`);
    await ledger.close();

    let start = performance.now();
    ledger = await openEmbeddedLedger({ folder, ordererKey: orderer, clock: clock.read });
    console.log(`  opened     ${(performance.now() - start).toFixed(0)} ms with its checkpoint`);
    await ledger.close();
    await rm(join(folder, 'checkpoint'), { recursive: true });
    start = performance.now();
    ledger = await openEmbeddedLedger({ folder, ordererKey: orderer, clock: clock.read });
    console.log(
      `  opened     ${(performance.now() - start).toFixed(0)} ms from the log alone, ${perSecond(settled, (performance.now() - start) / 1e3)} jobs/s`,
    );
    await ledger.close();
    start = performance.now();
    const report = await verifyLedger(genesis, readLog(folder));
    console.log(
      `  verified   ${perSecond(settled, (performance.now() - start) / 1e3)} rows/s, ${report.ok ? 'right' : report.error.message}; ${(process.memoryUsage.rss() / 2 ** 20).toFixed(0)} MiB resident`,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function prepare(net: TestNetwork, { rowsPerBatch, batchesPerTransaction, nodes }: Shape): Promise<Transaction[]> {
  const { clock } = net;
  const bob = await net.createAccount('bob', 10n ** 20n);
  const owner = await net.createAccount('owner', 1_000n);
  const superNode = await net.registerSuperNode(owner, 'super');
  const providers = await Promise.all(Array.from({ length: nodes }, (_, i) => net.createAccount(`provider-${i}`)));
  const keys: Signer[] = await Promise.all(providers.map((provider, i) => net.registerNode(provider, `node-${i}`)));
  const fn = await net.createFunction(bob, 'hello');
  const allowance = await net.openAllowance(bob, superNode, { maxUnits: String(10n ** 18n) });
  const transactions: Transaction[] = [];
  let sequence = 0;
  let turn = 0;
  const count = Math.ceil(rows / (rowsPerBatch * batchesPerTransaction));
  for (let t = 0; t < count; t++) {
    const batches = Array.from({ length: batchesPerTransaction }, () => {
      const jobs = Array.from({ length: rowsPerBatch }, () =>
        testJob({ allowance, sequence: sequence++, function: fn.id, version: fn.version, notAfter: clock.now + 1_000 }),
      );
      return net.batch(superNode, keys[turn++ % nodes]!, jobs, t + 1);
    });
    const { id } = (await net.ledger.range('super-node/'))[0]!.value as { id: string };
    transactions.push(net.sign('job.settle', { superNode: id, batches, lost: [] }, superNode));
  }
  return transactions;
}

async function settleAll(
  ledger: TestNetwork['ledger'],
  transactions: readonly Transaction[],
): Promise<{ seconds: number; latencies: number[] }> {
  const latencies: number[] = [];
  let next = 0;
  const start = performance.now();
  const worker = async (): Promise<void> => {
    while (next < transactions.length) {
      const sent = performance.now();
      const { rejections } = await ledger.submit(transactions[next++]!);
      if (rejections.length > 0) throw new Error(rejections[0]!.message);
      latencies.push(performance.now() - sent);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return { seconds: (performance.now() - start) / 1e3, latencies };
}

async function loneLatencies(net: TestNetwork): Promise<number[]> {
  const latencies: number[] = [];
  for (let i = 0; i < 200; i++) {
    const key = testSigner(`lone ${i}`);
    const transaction = net.sign('account.create', { name: `lone-${i}`, key: key.publicKey, roles: [] }, key);
    const sent = performance.now();
    await net.ledger.submit(transaction);
    latencies.push(performance.now() - sent);
  }
  return latencies;
}

function percentile(values: readonly number[], share: number): string {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)]!.toFixed(1);
}

function perSecond(count: number, seconds: number): string {
  return Math.round(count / seconds).toLocaleString('en');
}
