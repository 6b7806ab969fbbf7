import {
  accountId,
  acknowledgementRow,
  allowanceId,
  functionId,
  nodeId,
  receiptRow,
  superNodeId,
  ticketRow,
  versionId,
  type JobRow,
  type Signer,
  type Transaction,
} from '@orb/protocol';
import fc from 'fast-check';
import { testJob, testManifest, type TestClock, type TestNetwork, testSigner, treasury } from './network.ts';

/*
 * Random operations, valid and hostile: few actors and small numbers, so that they meet each other often; any actor may
 * sign anything.
 */
const actors = ['ann', 'bea', 'cid'] as const;
const superNodes = ['super-1', 'super-2'] as const;
const nodes = ['node-1', 'node-2'] as const;

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
  node,
  fn: mostly(fc.constant('ann'), who),
  rate: mostly(fc.constantFrom('0', '1', '7'), fc.constantFrom('1000', '1001')),
  maxCost: mostly(fc.constant('100000'), fc.constantFrom('100', '5000')),
  runUs: fc.integer({ min: 0, max: 9_000 }),
  observedUs: mostly(fc.integer({ min: 8_000, max: 9_000 }), fc.integer({ min: 0, max: 9_000 })),
  received: mostly(fc.constant<boolean | null>(true), fc.constantFrom(false, null)),
  outcome: mostly(fc.constant('ok'), fc.constantFrom('function-failed', 'node-failed', 'cancelled')),
  late: mostly(fc.constant(false), fc.constant(true)),
  forged: mostly(fc.constant(false), fc.constant(true)),
});

export const operationArbitrary = fc.oneof(
  fc.record({ type: fc.constant('mint'), to: who, units: amount, honest }),
  fc.record({ type: fc.constant('burn'), units: amount, honest }),
  fc.record({ type: fc.constant('transfer'), from: who, to: fc.oneof(who, fc.constant('treasury')), units: amount, honest }),
  fc.record({ type: fc.constant('super-node'), owner: who, superNode, bond: amount, honest }),
  fc.record({ type: fc.constant('node'), owner: who, node, honest }),
  fc.record({ type: fc.constant('retire'), owner: who, node, honest }),
  fc.record({ type: fc.constant('function'), owner: who, honest }),
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
  fc.record({ type: fc.constant('release'), payer: who, opened: fc.integer({ min: 1, max: 6 }) }),
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('settle'),
      superNode,
      jobs: fc.array(job, { minLength: 1, maxLength: 6 }),
      lost: fc.array(job, { maxLength: 2 }),
      honest,
    }),
  },
  fc.record({ type: fc.constant('assign'), superNode, node, jobs: fc.array(job, { minLength: 1, maxLength: 3 }), honest }),
  fc.record({ type: fc.constant('finish'), superNode, node, jobs: fc.array(job, { minLength: 1, maxLength: 3 }), honest }),
  fc.record({ type: fc.constant('acknowledge'), superNode, jobs: fc.array(job, { minLength: 1, maxLength: 3 }), honest }),
  fc.record({ type: fc.constant('sweep'), account: fc.oneof(who, fc.constant('treasury')), superNode, honest }),
  fc.record({ type: fc.constant('wait'), ms: fc.constantFrom(1, 500, 3_000, 20_000) }),
);

export type Operation = typeof operationArbitrary extends fc.Arbitrary<infer T> ? T : never;

type RandomJob = typeof job extends fc.Arbitrary<infer T> ? T : never;

function id(name: string): string {
  return accountId(signer(name).publicKey);
}

function signer(name: string): Signer {
  return name === 'treasury' ? treasury : testSigner(name);
}

function rowOf(
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

/** The transaction of an operation, with the next sequence numbers; undefined when it only moves the clock. */
export async function transactionOf(operation: Operation, net: TestNetwork): Promise<Transaction | undefined> {
  const op = operation as Operation & Record<string, never>;
  const { clock } = net;
  const by = (right: Signer, ...others: Signer[]) => (op.honest === false ? [testSigner('mallory')] : [right, ...others]);
  const keyOf = (name: string) => testSigner(name);
  const rowId = (row: JobRow) => `${row.ticket.allowance}-${row.ticket.sequence}`;
  switch (operation.type) {
    case 'mint':
      return net.sign('treasury.mint', { sequence: await net.next(treasury), to: id(op.to), units: op.units }, ...by(treasury));
    case 'burn':
      return net.sign('treasury.burn', { sequence: await net.next(treasury), units: op.units }, ...by(treasury));
    case 'transfer':
      return net.sign(
        'transfer',
        { from: id(op.from), sequence: await net.next(signer(op.from)), to: id(op.to), units: op.units },
        ...by(signer(op.from)),
      );
    case 'super-node': {
      const body = {
        account: id(op.owner),
        sequence: await net.next(signer(op.owner)),
        key: keyOf(op.superNode).publicKey,
        address: 'wss://s.test',
        gateway: 'https://s.test',
        bond: op.bond,
      };
      return net.sign('super-node.register', body, ...by(signer(op.owner), keyOf(op.superNode)));
    }
    case 'node': {
      const body = { account: id(op.owner), sequence: await net.next(signer(op.owner)), key: keyOf(op.node).publicKey, label: op.node };
      return net.sign('node.register', body, ...by(signer(op.owner), keyOf(op.node)));
    }
    case 'retire':
      return net.sign(
        'node.retire',
        { account: id(op.owner), sequence: await net.next(signer(op.owner)), node: nodeId(keyOf(op.node).publicKey) },
        ...by(signer(op.owner)),
      );
    case 'function': {
      const [control, recovery] = [keyOf('control'), keyOf('recovery')];
      const body = {
        account: id(op.owner),
        sequence: await net.next(signer(op.owner)),
        name: 'fn',
        incarnation: 1,
        controlKey: control.publicKey,
        recoveryKey: recovery.publicKey,
        manifest: testManifest(),
      };
      return net.sign('function.create', body, ...by(signer(op.owner), control));
    }
    case 'allowance': {
      const functions = op.all ? ('*' as const) : [functionId(id('ann'), 'fn', 1)];
      const body = {
        payer: id(op.payer),
        sequence: await net.next(signer(op.payer)),
        superNode: superNodeId(keyOf(op.superNode).publicKey),
        functions,
        maxUnits: op.units,
        maxPerCall: op.perCall,
        expires: clock.now + op.lastsMs,
      };
      return net.sign('allowance.open', body, ...by(signer(op.payer)));
    }
    case 'release':
      return net.sign('allowance.release', { allowance: allowanceId(id(op.payer), op.opened) });
    case 'settle': {
      const random = op.jobs as readonly RandomJob[];
      const batches = random.map((one, i) => {
        const batch = net.batch(keyOf(op.superNode), keyOf(one.node), [rowOf(one, clock)], i + 1);
        return one.forged ? { ...batch, batch: i + 2 } : batch;
      });
      const lost = (op.lost as readonly RandomJob[]).map((one) => ({
        node: nodeId(keyOf(one.node).publicKey),
        ticket: ticketRow(rowOf(one, clock).ticket),
      }));
      return net.sign('job.settle', { superNode: superNodeId(keyOf(op.superNode).publicKey), batches, lost }, ...by(keyOf(op.superNode)));
    }
    case 'assign': {
      const tickets = (op.jobs as readonly RandomJob[]).map((one) => ticketRow(rowOf(one, clock).ticket));
      return net.sign(
        'job.assign',
        { superNode: superNodeId(keyOf(op.superNode).publicKey), node: nodeId(keyOf(op.node).publicKey), tickets },
        ...by(keyOf(op.superNode)),
      );
    }
    case 'finish': {
      const receipts = (op.jobs as readonly RandomJob[])
        .map((one) => rowOf(one, clock))
        .map((row): [string, ReturnType<typeof receiptRow>] => [rowId(row), receiptRow(row.receipt)]);
      return net.sign(
        'job.finish',
        { superNode: superNodeId(keyOf(op.superNode).publicKey), node: nodeId(keyOf(op.node).publicKey), receipts },
        ...by(keyOf(op.node)),
      );
    }
    case 'acknowledge': {
      const acknowledgements = (op.jobs as readonly RandomJob[])
        .map((one) => rowOf(one, clock))
        .map((row): [string, ReturnType<typeof acknowledgementRow>] => [rowId(row), acknowledgementRow(row.acknowledgement)]);
      return net.sign(
        'job.acknowledge',
        { superNode: superNodeId(keyOf(op.superNode).publicKey), acknowledgements },
        ...by(keyOf(op.superNode)),
      );
    }
    case 'sweep':
      return net.sign(
        'credit.sweep',
        { account: id(op.account), superNodes: [superNodeId(keyOf(op.superNode).publicKey)], at: clock.now },
        ...by(signer(op.account)),
      );
    default:
      clock.advance(op.ms);
      return undefined;
  }
}

/** What random operations need to have any effect: accounts, money, and most of the rest. */
export async function setRandomStage(net: TestNetwork): Promise<void> {
  for (const name of actors) await net.createAccount(name, 20_000n);
  for (const [i, name] of superNodes.entries()) await net.registerSuperNode(testSigner(actors[i]!), name, 100n);
  for (const [i, name] of nodes.entries()) await net.registerNode(testSigner(actors[i + 1]!), name);
  await net.createFunction(testSigner('ann'), 'fn');
  for (const name of superNodes)
    await net.openAllowance(testSigner('ann'), testSigner(name), { maxUnits: '9000', maxPerCall: '5000', expires: 1_800_000_060_000 });
}
