import { createMemoryLedger } from '@orb/ledger/memory';
import { orderer, TestClock, testGenesis, TestNetwork, testSigner } from '@orb/ledger/testing';
import {
  accountId,
  limits,
  nodeId,
  sha256,
  signTransaction,
  stateKeys,
  xorDistance,
  type Json,
  type Signer,
  type Transaction,
} from '@orb/protocol';
import { beforeEach, describe, expect, test } from 'vitest';
import { EligibleNodes, type LedgerClient, type NodeInfo, type Recipients } from '@orb/sdk';

let net: TestNetwork;
let bob: Signer;
let ant: Signer;
/** What a super node says instead of what the ledger holds: records by key, and transactions of its own making. */
let lies: Map<string, Json>;
let forged: Map<string, Transaction>;
beforeEach(async () => {
  const clock = new TestClock();
  const ledger = await createMemoryLedger({ genesis: testGenesis(), ordererKey: orderer, clock: clock.read });
  net = new TestNetwork(ledger, clock);
  bob = await net.createAccount('bob');
  ant = await net.registerNode(bob, 'ant');
  lies = new Map();
  forged = new Map();
});

/** A super node's answers about its ledger. */
const told = () => {
  const { ledger } = net;
  const transaction = async (id: string) => {
    const place = await ledger.locate(id);
    return place && { ...place, transaction: (await ledger.block(place.height))!.transactions[place.index] };
  };
  const lied = (key: string) => [...forged].filter(([id]) => id.startsWith(key)).map(([id]) => ({ transaction: id }));
  return {
    get: async (key: string) => lies.get(key) ?? (await ledger.get(key)),
    history: async (key: string) => [...(await ledger.history(key, { limit: 100 })), ...lied(key)],
    transaction: async (id: string) => (forged.has(id) ? { transaction: forged.get(id) } : transaction(id)),
  } as unknown as LedgerClient;
};
const linked = (...nodes: Signer[]): NodeInfo[] =>
  nodes.map((node) => ({
    id: nodeId(node.publicKey),
    label: 'x',
    account: accountOf.get(node.publicKey) ?? 'bob',
    isolation: 'namespaces',
  }));
/** Whose nodes a super node says they are; `bob`'s, whatever is true, where it does not say. */
const accountOf = new Map([[testSigner('cat').publicKey, 'carol']]);
const of = (name: string) => ({ id: accountId(testSigner(name).publicKey), name });
const eligible = async (recipients: Partial<Recipients>, ...nodes: Signer[]) => {
  const all = { nodes: [], accounts: [], isolation: null, ...recipients };
  const found = await new EligibleNodes({ chain: net.ledger.chain }).of(told(), all, linked(...nodes), sha256('a function'));
  const order = nodes.map(({ publicKey }) => publicKey);
  return found.map(({ key }) => key).toSorted((a, b) => order.indexOf(a) - order.indexOf(b));
};

test('nodes of a listed account, and listed nodes; nobody where nobody is listed', async () => {
  const carol = await net.createAccount('carol');
  const cat = await net.registerNode(carol, 'cat');
  expect(await eligible({ accounts: [of('bob')] }, ant, cat)).toEqual([ant.publicKey]);
  expect(await eligible({ nodes: [nodeId(cat.publicKey)] }, ant, cat)).toEqual([cat.publicKey]);
  expect(await eligible({ nodes: [nodeId(cat.publicKey)], accounts: [of('bob')] }, ant, cat)).toEqual([ant.publicKey, cat.publicKey]);
  expect(await eligible({}, ant, cat)).toEqual([]);
});

test('an isolation narrows a list, and without one stands for whoever says that it isolates so', async () => {
  const cat = await net.registerNode(await net.createAccount('carol'), 'cat');
  expect(await eligible({ accounts: [of('bob')], isolation: 'namespaces' }, ant, cat)).toEqual([ant.publicKey]);
  expect(await eligible({ accounts: [of('bob')], isolation: 'container' }, ant, cat)).toEqual([]);
  expect(await eligible({ isolation: 'process' }, ant, cat)).toEqual([ant.publicKey, cat.publicKey]);
  expect(await eligible({ isolation: 'vm' }, ant, cat)).toEqual([]);
});

test('a node that its account has retired, or that nobody has registered, gets nothing', async () => {
  expect(await eligible({ isolation: 'process' }, testSigner('stranger'))).toEqual([]);
  await net.send('node.retire', { account: of('bob').id, sequence: await net.next(bob), node: nodeId(ant.publicKey) }, bob);
  expect(await eligible({ accounts: [of('bob')], nodes: [nodeId(ant.publicKey)] }, ant)).toEqual([]);
});

test('an account that has changed its keys vouches with a key that an earlier one has brought', async () => {
  const next = testSigner('next key of bob');
  await net.send(
    'account.rotate',
    { account: of('bob').id, sequence: await net.next(bob), keys: [next.publicKey], recoveryKey: null },
    bob,
    next,
  );
  const dog = testSigner('dog');
  const body = { account: of('bob').id, sequence: await net.next(bob), key: dog.publicKey, label: 'dog' };
  await net.send('node.register', body, next, dog);
  expect(await eligible({ accounts: [of('bob')] }, ant, dog)).toEqual([ant.publicKey, dog.publicKey]);
});

test('of more than a super node keeps boxes for, the nearest to the function', async () => {
  const many = await Promise.all(Array.from({ length: limits.secretNodes + 40 }, async (_, i) => testSigner(`many ${i}`)));
  for (const [i, node] of many.entries()) {
    const body = { account: of('bob').id, sequence: 2 + i, key: node.publicKey, label: 'x' };
    await net.send('node.register', body, bob, node);
  }
  const near = (key: string) => xorDistance(nodeId(key), sha256('a function'));
  const nearest = many.map(({ publicKey }) => publicKey).toSorted((a, b) => (near(a) < near(b) ? -1 : 1));
  const found = await eligible({ accounts: [of('bob')] }, ...many);
  expect(found.toSorted()).toEqual(nearest.slice(0, limits.secretNodes).toSorted());
});

describe('a super node that lies gets nothing for a node of its own', () => {
  const mallory = testSigner('mallory');
  const bug = testSigner('bug');
  const id = nodeId(bug.publicKey);
  const account = of('bob').id;
  const record = { id, key: bug.publicKey, account, label: 'bug', retired: false };
  const sign = (chain: string, ...signers: Signer[]) =>
    signTransaction(chain, 'node.register', { account, sequence: 9, key: bug.publicKey, label: 'bug' }, signers) as unknown as Transaction;
  const found = () => eligible({ accounts: [of('bob')] }, bug);
  beforeEach(() => void lies.set(stateKeys.node(id), record));

  test('when it names the account in the record', async () => {
    expect(await found()).toEqual([]);
  });

  test('when it shows a registration that the account has not signed', async () => {
    forged.set(`${stateKeys.node(id)}#1`, sign(net.ledger.chain, mallory, bug));
    expect(await found()).toEqual([]);
  });

  test('when it shows one of another network, or one of another node', async () => {
    forged.set(`${stateKeys.node(id)}#1`, sign(sha256('another chain'), bob, bug));
    expect(await found()).toEqual([]);
    const real = signTransaction(net.ledger.chain, 'node.register', { account, sequence: 9, key: ant.publicKey, label: 'x' }, [bob, ant]);
    forged.set(`${stateKeys.node(id)}#2`, real as unknown as Transaction);
    expect(await found()).toEqual([]);
  });

  test('when it makes up a change of the account’s keys', async () => {
    forged.set(`${stateKeys.node(id)}#1`, sign(net.ledger.chain, mallory, bug));
    const rotation = { account, sequence: 8, keys: [mallory.publicKey], recoveryKey: null };
    forged.set(
      `${stateKeys.account(account)}#1`,
      signTransaction(net.ledger.chain, 'account.rotate', rotation, [mallory]) as unknown as Transaction,
    );
    expect(await found()).toEqual([]);
  });

  test('when it puts its own key in the record of a node that is listed', async () => {
    const own = { id: nodeId(ant.publicKey), key: bug.publicKey, account, label: 'ant', retired: false };
    lies.set(stateKeys.node(nodeId(ant.publicKey)), own);
    expect(await eligible({ nodes: [nodeId(ant.publicKey)], accounts: [of('bob')] }, ant)).toEqual([]);
  });

  test('and what is really signed by the account is taken: the lies above differ in that alone', async () => {
    forged.set(`${stateKeys.node(id)}#1`, sign(net.ledger.chain, bob, bug));
    expect(await found()).toEqual([bug.publicKey]);
  });
});
