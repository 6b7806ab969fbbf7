import type { Genesis, JobRow, Signer } from '@orb/protocol';
import { jobId } from '@orb/protocol';
import type { Clock } from '../engine.ts';
import type { KeptLedger } from '../kept-ledger.ts';
import { orderer, testGenesis, TestClock, testJob, TestNetwork } from '../testing/network.ts';

/** Opens an empty ledger of the engine under test. */
export type OpenLedger = (options: {
  readonly genesis: Genesis;
  readonly ordererKey: Signer;
  readonly clock: Clock;
}) => Promise<KeptLedger>;

/** A small network: Bob's function, Alice's node, a super node, and an allowance of Bob's. */
export interface Stage {
  readonly net: TestNetwork;
  readonly ledger: KeptLedger;
  readonly clock: TestClock;
  readonly bob: Signer;
  readonly alice: Signer;
  readonly owner: Signer;
  readonly superNode: Signer;
  readonly node: Signer;
  readonly fn: Awaited<ReturnType<TestNetwork['createFunction']>>;
  readonly allowance: string;
  /** A job of Bob's allowance that costs 1,920 base units. */
  job(sequence: number, ...changes: JobChanges): JobRow;
  id(sequence: number): string;
}

type JobChanges = [
  ticket?: Partial<JobRow['ticket']>,
  receipt?: Partial<JobRow['receipt']>,
  acknowledgement?: Partial<JobRow['acknowledgement']>,
];

/** Cost of {@link Stage.job}: 3 ms × 64 MiB × rate 10. */
export const jobCost = 1_920n;

export async function openNetwork(
  open: OpenLedger,
  parameters: Partial<Genesis['parameters']> = {},
): Promise<{ net: TestNetwork; ledger: KeptLedger; clock: TestClock }> {
  const clock = new TestClock();
  const ledger = await open({ genesis: testGenesis(parameters), ordererKey: orderer, clock: clock.read });
  return { net: new TestNetwork(ledger, clock), ledger, clock };
}

export async function setStage(open: OpenLedger, parameters: Partial<Genesis['parameters']> = {}): Promise<Stage> {
  const { net, ledger, clock } = await openNetwork(open, parameters);
  const bob = await net.createAccount('bob', 2_000_000n);
  const alice = await net.createAccount('alice');
  const owner = await net.createAccount('super-owner', 1_000n);
  const superNode = await net.registerSuperNode(owner, 'super');
  const node = await net.registerNode(alice, 'node');
  const fn = await net.createFunction(bob, 'hello');
  const allowance = await net.openAllowance(bob, superNode);
  return {
    net,
    ledger,
    clock,
    bob,
    alice,
    owner,
    superNode,
    node,
    fn,
    allowance,
    id: (sequence) => jobId(allowance, sequence),
    job: (sequence, ticket, receipt, acknowledgement) =>
      testJob(
        { allowance, sequence, function: fn.id, version: fn.version, notAfter: clock.now + 1_000, ...ticket },
        receipt,
        acknowledgement,
      ),
  };
}
