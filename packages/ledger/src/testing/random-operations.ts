import {
  acknowledgementRow,
  allowanceId,
  functionId,
  nodeId,
  receiptRow,
  superNodeId,
  ticketRow,
  type JobRow,
  type Signer,
  type Transaction,
} from '@orb/protocol';
import { testManifest, type TestNetwork, testSigner, treasury } from './network.ts';
import { accountableTransaction } from './random-accountability.ts';
import { actors, id, nodes, rowOf, signer, superNodes, type Operation, type RandomJob } from './random-arbitraries.ts';

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
    case 'wait':
      clock.advance(op.ms);
      return undefined;
    default:
      return accountableTransaction(operation, net);
  }
}

/** What random operations need to have any effect: accounts, money, and most of the rest. */
export async function setRandomStage(net: TestNetwork): Promise<void> {
  for (const name of actors) await net.createAccount(name, 60_000n);
  for (const [i, name] of superNodes.entries()) await net.registerSuperNode(testSigner(actors[i]!), name, 3_000n);
  for (const [i, name] of nodes.entries()) await net.registerNode(testSigner(actors[i + 1]!), name);
  await net.createFunction(testSigner('ann'), 'fn');
  for (const name of superNodes)
    await net.openAllowance(testSigner('ann'), testSigner(name), { maxUnits: '20000', maxPerCall: '5000', expires: 1_800_000_120_000 });
}
