import { accountId, allowanceId, functionId, versionId, type JobRow, type Signer } from '@orb/protocol';
import fc from 'fast-check';
import { testJob, testManifest, testSigner, treasury, type TestClock } from './network.ts';

/*
 * Random operations, valid and hostile: few actors and small numbers, so that they meet each other often; any actor may
 * sign anything.
 */
export const actors = ['ann', 'bea', 'cid'] as const;
export const superNodes = ['super-1', 'super-2'] as const;
export const nodes = ['node-1', 'node-2'] as const;

const who = fc.constantFrom(...actors);
const superNode = fc.constantFrom(...superNodes);
const node = fc.constantFrom(...nodes);
const amount = fc.oneof(fc.integer({ min: 0, max: 5_000 }).map(String), fc.constantFrom('1', '999999999999999999999999'));
/** Mostly the right signer; sometimes somebody else. */
const honest = fc.integer({ min: 0, max: 9 }).map((n) => n > 0);
const small = fc.integer({ min: 0, max: 12 });

/** One value most of the time. */
const mostly = <T>(usual: fc.Arbitrary<T>, other: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 6, arbitrary: usual }, { weight: 1, arbitrary: other });

const job = fc.record({
  payer: mostly(fc.constant('ann'), who),
  opened: mostly(fc.constantFrom(3, 4), fc.integer({ min: 1, max: 6 })),
  sequence: small,
  superNode,
  node: mostly(fc.constant<string>(nodes[0]), node),
  fn: mostly(fc.constant('ann'), who),
  rate: mostly(fc.constantFrom('0', '1', '7'), fc.constantFrom('1000', '1001')),
  maxCost: mostly(fc.constant('100000'), fc.constantFrom('100', '5000')),
  runUs: fc.integer({ min: 0, max: 9_000 }),
  observedUs: mostly(fc.integer({ min: 8_000, max: 9_000 }), fc.integer({ min: 0, max: 9_000 })),
  received: fc.constantFrom<boolean | null>(true, true, true, false, null),
  outcome: mostly(fc.constant('ok'), fc.constantFrom('function-failed', 'node-failed', 'cancelled')),
  late: mostly(fc.constant(false), fc.constant(true)),
  forged: fc.integer({ min: 0, max: 19 }).map((n) => n === 0),
});

/** Of jobs a few more than of the rest, and of what ends things a few less: otherwise all is over too soon. */
const often = <T>(weight: number, arbitrary: fc.Arbitrary<T>): fc.WeightedArbitrary<T> => ({ weight, arbitrary });
const jobsOf = (maxLength: number) => fc.array(job, { minLength: 1, maxLength });

/** What anybody may try. */
export const operationArbitrary = fc.oneof(
  often(1, fc.record({ type: fc.constant('mint'), to: who, units: amount, honest })),
  often(1, fc.record({ type: fc.constant('burn'), units: amount, honest })),
  often(2, fc.record({ type: fc.constant('transfer'), from: who, to: fc.oneof(who, fc.constant('treasury')), units: amount, honest })),
  often(2, fc.record({ type: fc.constant('super-node'), owner: who, superNode, bond: amount, honest })),
  often(1, fc.record({ type: fc.constant('node'), owner: who, node, honest })),
  often(1, fc.record({ type: fc.constant('retire'), owner: who, node: fc.constantFrom(...nodes, 'node-3', 'node-4'), honest })),
  often(1, fc.record({ type: fc.constant('function'), owner: who, honest })),
  often(
    3,
    fc.record({
      type: fc.constant('allowance'),
      payer: who,
      superNode,
      units: amount,
      perCall: fc.constantFrom('0', '3000', '1000000'),
      all: fc.boolean(),
      lastsMs: fc.integer({ min: 0, max: 9_000 }),
      honest,
    }),
  ),
  often(2, fc.record({ type: fc.constant('release'), payer: mostly(fc.constant('ann'), who), opened: fc.integer({ min: 1, max: 6 }) })),
  often(12, fc.record({ type: fc.constant('settle'), superNode, jobs: jobsOf(6), lost: fc.array(job, { maxLength: 2 }), honest })),
  often(3, fc.record({ type: fc.constant('assign'), superNode, node, jobs: jobsOf(3), honest })),
  often(3, fc.record({ type: fc.constant('finish'), superNode, node, jobs: jobsOf(3), honest })),
  often(5, fc.record({ type: fc.constant('acknowledge'), superNode, jobs: jobsOf(3), honest })),
  often(3, fc.record({ type: fc.constant('sweep'), account: fc.oneof(who, fc.constant('treasury')), superNode, honest })),
  often(12, fc.record({ type: fc.constant('claim'), superNode, node, jobs: jobsOf(3), honest, shown: fc.boolean() })),
  often(6, fc.record({ type: fc.constant('conclude'), superNode, jobs: jobsOf(6) })),
  often(8, fc.record({ type: fc.constant('refund'), superNode, job, honest })),
  often(
    6,
    fc.record({
      type: fc.constant('vote'),
      voter: fc.oneof(who, fc.constant('treasury')),
      subject: fc.constantFrom('parameters', 'dispute', 'refund'),
      superNode,
      job,
      pay: fc.boolean(),
    }),
  ),
  often(
    2,
    fc.record({
      type: fc.constant('rotate'),
      owner: who,
      revoked: mostly(fc.constant(false), fc.constant(true)),
      recovery: fc.boolean(),
      honest,
    }),
  ),
  often(3, fc.record({ type: fc.constant('recover'), owner: who, step: fc.constantFrom('ask', 'cancel', 'finish'), honest })),
  often(2, fc.record({ type: fc.constant('unbond'), owner: who, superNode, units: amount, honest })),
  often(2, fc.record({ type: fc.constant('withdraw'), superNode })),
  often(3, fc.record({ type: fc.constant('commission'), superNode })),
  often(
    8,
    fc.record({ type: fc.constant('seeding'), superNode, node, step: fc.constantFrom('root', 'ask', 'commit', 'answer', 'pay'), honest }),
  ),
  often(7, fc.record({ type: fc.constant('wait'), ms: fc.constantFrom(1, 300, 700, 1_100, 2_100, 6_000) })),
);

export type Operation = typeof operationArbitrary extends fc.Arbitrary<infer T> ? T : never;

/** A job of random terms. */
export type RandomJob = typeof job extends fc.Arbitrary<infer T> ? T : never;

/** The account id of an actor. */
export function id(name: string): string {
  return accountId(signer(name).publicKey);
}

/** The first key of an actor. */
export function signer(name: string): Signer {
  return name === 'treasury' ? treasury : testSigner(name);
}

/** The job of random terms. */
export function rowOf(
  { payer, opened, fn, received, outcome, runUs, observedUs, late, sequence, rate, maxCost }: RandomJob,
  clock: TestClock,
): JobRow {
  const ticket = {
    allowance: allowanceId(id(payer), opened),
    sequence,
    function: functionId(id(fn), 'fn', 1),
    version: versionId(testManifest()),
    rate,
    maxCost,
    // Fixed for a job, so that steps of one job agree with each other.
    notAfter: late ? 1_900_000_000_000 : 1_800_000_000_000,
  };
  return testJob(ticket, { runUs, outcome: outcome as JobRow['receipt']['outcome'] }, { received, observedUs, doneAtMs: clock.now });
}
