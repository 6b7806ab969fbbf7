import { writeSync } from 'node:fs';
import { accountId, allowanceId, functionId, stateKeys, versionId, type AllowanceRecord } from '@orb/protocol';
import { openEmbeddedLedger } from '../embedded/embedded-ledger.ts';
import { orderer, testGenesis, testJob, TestClock, testManifest, TestNetwork, testSigner } from './network.ts';

/*
 * A process that settles jobs as fast as it can until it is killed, and says which ones were acknowledged: one line
 * with the job's sequence, written before anything else happens.
 */
const folder = process.argv[2]!;
const clock = new TestClock();
// Checkpoints often enough that some are cut short too.
const checkpoint = { entries: 100, ms: 1_000 };
const ledger = await openEmbeddedLedger({
  folder,
  genesis: testGenesis({ disputeWindowMs: 0 }),
  ordererKey: orderer,
  clock: clock.read,
  checkpoint,
});
const net = new TestNetwork(ledger, clock);
const [bob, superNode, node] = ['bob', 'super', 'node'].map(testSigner) as [
  ReturnType<typeof testSigner>,
  ReturnType<typeof testSigner>,
  ReturnType<typeof testSigner>,
];
const bobId = accountId(bob.publicKey);
const allowance = allowanceId(bobId, 2);

if (ledger.head.height === 0) {
  await net.createAccount('bob', 10n ** 15n);
  await net.createAccount('alice');
  const owner = await net.createAccount('owner', 1_000n);
  await net.registerSuperNode(owner, 'super');
  await net.registerNode(testSigner('alice'), 'node');
  await net.createFunction(bob, 'hello');
  await net.openAllowance(bob, superNode, { maxUnits: String(10n ** 14n) });
}

const terms = { allowance, function: functionId(bobId, 'hello', 1), version: versionId(testManifest()), notAfter: clock.now + 1_000 };
let sequence = ((await ledger.get(stateKeys.allowance(allowance))) as unknown as AllowanceRecord).closedBelow;
writeSync(1, 'ready\n');

async function settleForEver(): Promise<void> {
  for (;;) {
    const first = sequence;
    sequence += 5;
    const jobs = Array.from({ length: 5 }, (_, i) => testJob({ ...terms, sequence: first + i }));
    const { rejections } = await net.settle(superNode, [net.batch(superNode, node, jobs)]);
    const rejected = new Set(rejections.map(({ job }) => job));
    const settled = jobs.map(({ ticket }) => ticket.sequence).filter((n) => !rejected.has(`${allowance}-${n}`));
    writeSync(1, settled.map((n) => `${n}\n`).join(''));
  }
}

await Promise.all(Array.from({ length: 8 }, settleForEver));
