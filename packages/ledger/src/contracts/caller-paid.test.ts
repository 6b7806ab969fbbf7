import {
  accountId,
  receiptsRoot,
  stateKeys,
  superNodeId,
  verify,
  type CreditRecord,
  type JobRow,
  type Json,
  type VersionRecord,
} from '@orb/protocol';
import { expect, test } from 'vitest';
import { setStage } from '../conformance/stage.ts';
import { createMemoryLedger } from '../memory/memory-ledger.ts';
import { State } from '../state.ts';
import { execute, type Execution } from './execute.ts';
import { treasuryOf } from './genesis-state.ts';

/*
 * `payer: caller` is refused in manifests until a gateway can ask callers for their signature; the rules for such a
 * version stand already, and are tried here on a state that holds one.
 */
const ownPrice = 500n;

/** Settles jobs of Bob's function, which has a price, from an allowance of Kate's. */
async function settleForCaller(jobs: (stage: Awaited<ReturnType<typeof setStage>>, allowance: string) => JobRow[], maxPerCall = '100000') {
  const stage = await setStage(createMemoryLedger);
  const { net, ledger, fn, superNode, node } = stage;
  const kate = await net.createAccount('kate', 1_000_000n);
  const allowance = await net.openAllowance(kate, superNode, { functions: [fn.id], maxUnits: '10000', maxPerCall });
  const everything = await net.openAllowance(kate, superNode, { functions: '*', maxUnits: '10000', maxPerCall });
  const entries = (await ledger.range('', { limit: 1_000 })).map(({ key, value }): [string, Json] => {
    if (key !== stateKeys.version(fn.id, fn.version)) return [key, value];
    const version = structuredClone(value) as unknown as VersionRecord;
    const manifest = { ...version.manifest, payer: 'caller', ownPrice: String(ownPrice) };
    return [key, { ...version, manifest } as unknown as Json];
  });
  const rows = jobs(stage, allowance).map((job) =>
    job.ticket.allowance === 'everything' ? { ...job, ticket: { ...job.ticket, allowance: everything } } : job,
  );
  const body = { superNode: superNodeId(superNode.publicKey), batches: [net.batch(superNode, node, rows)], lost: [] };
  const { genesis, chain, head } = ledger;
  const env = {
    chain,
    network: genesis.network,
    treasury: treasuryOf(genesis),
    height: head.height + 1,
    time: head.time,
    parameters: genesis.parameters,
    verify,
    receiptsRoot,
  };
  const execution = execute(net.sign('job.settle', body, superNode), new State(entries), env);
  await ledger.close();
  return { stage, allowance, execution };
}

function earnedIn({ writes }: Execution, account: string, superNode: string): string[] {
  const credit = writes.get(stateKeys.credit(account, superNode)) as unknown as CreditRecord | undefined;
  return credit?.vesting.map(([, units]) => units) ?? [];
}

test('a caller pays the cost and the owner’s price; the price is the owner’s alone', async () => {
  const { stage, allowance, execution } = await settleForCaller(({ job }, of) => [job(0, { allowance: of })]);
  expect(execution.result.rejections).toEqual([]);
  const superNode = superNodeId(stage.superNode.publicKey);
  expect(earnedIn(execution, accountId(stage.bob.publicKey), superNode)).toEqual([String(ownPrice)]);
  expect(earnedIn(execution, accountId(stage.alice.publicKey), superNode)).toEqual(['1728']);
  expect(execution.writes.get(stateKeys.allowance(allowance))).toMatchObject({ left: String(10_000n - 1_920n - ownPrice) });
});

test('a function that failed is paid for what ran, without its owner’s price', async () => {
  const { stage, execution } = await settleForCaller(({ job }, of) => [job(0, { allowance: of }, { outcome: 'function-failed' })]);
  expect(execution.result.rejections).toEqual([]);
  expect(earnedIn(execution, accountId(stage.bob.publicKey), superNodeId(stage.superNode.publicKey))).toEqual([]);
});

test('no call takes more than the total that the caller signed, nor more than its ticket says', async () => {
  const signed = await settleForCaller(({ job }, of) => [job(0, { allowance: of })], '2419');
  expect(signed.execution.result.rejections).toMatchObject([{ code: 'allowance-exceeded' }]);
  const ticket = await settleForCaller(({ job }, of) => [job(0, { allowance: of, maxCost: '2419' })]);
  expect(ticket.execution.result.rejections).toMatchObject([{ code: 'cost-exceeded' }]);
  const enough = await settleForCaller(({ job }, of) => [job(0, { allowance: of, maxCost: '2420' })], '2420');
  expect(enough.execution.result.rejections).toEqual([]);
});

test('an allowance for all of one’s own functions pays nobody else’s', async () => {
  const { execution } = await settleForCaller(({ job }) => [job(0, { allowance: 'everything' })]);
  expect(execution.result.rejections).toMatchObject([{ code: 'forbidden' }]);
});
