import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  accountId,
  createSigner,
  nodeId,
  randomBytes,
  sha256,
  signRequest,
  signTransaction,
  superNodeId,
  toHex,
  utf8,
  type Signer,
  type SignedRequestHeaders,
  type Transaction,
} from '@orb/protocol';
import { checkBooks } from './books.ts';
import { Network, type Deployed } from './network.ts';

let network: Network;
let greet: Deployed;
let alice: Signer;
const mallory = newSigner();
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'] });
  greet = await network.deploy('greet', 'export default () => "hello";');
  alice = createSigner((JSON.parse(await readFile(join(network.home, 'keys', 'alice.json'), 'utf8')) as { secret: string }).secret);
  await network.orbClient.accounts.create('mallory', mallory, ['developer', 'provider']);
  await network.orbClient.accounts.fund(accountId(mallory.publicKey));
});
afterAll(() => network?.stop());

function newSigner(): Signer {
  return createSigner(toHex(randomBytes(32)));
}

const code = utf8('module.exports.default = () => "not what you signed"; // 1');

interface Upload {
  readonly signer?: Signer;
  readonly account?: string;
  readonly chain?: string;
  readonly nowMs?: number;
  /** What is signed, where it differs from what is sent. */
  readonly signed?: Partial<{ url: string; method: string; body: Uint8Array }>;
  readonly headers?: Partial<SignedRequestHeaders>;
}

/** Hands code to the super node, signed as told. */
async function upload({
  signer,
  account = 'alice',
  chain = network.links.chain,
  nowMs = Date.now(),
  signed = {},
  headers = {},
}: Upload): Promise<{ status: number; code: string; message: string }> {
  const url = `${network.gateway}/v1/code/${sha256(code)}`;
  const signature = signer ? signRequest({ method: 'PUT', url, body: code, ...signed }, chain, signer, nowMs) : {};
  const response = await fetch(url, {
    method: 'PUT',
    body: code as Uint8Array<ArrayBuffer>,
    headers: { 'orb-account': account, ...signature, ...headers },
  });
  const { error } = (await response.json()) as { error?: { code: string; message: string } };
  return { status: response.status, code: error?.code ?? '', message: error?.message ?? '' };
}

describe('owner requests', () => {
  test('unsigned, or signed by somebody else’s key, are refused', async () => {
    expect(await upload({})).toMatchObject({ status: 401, code: 'unauthenticated' });
    expect(await upload({ signer: mallory })).toMatchObject({ status: 403, code: 'forbidden' });
    expect(await upload({ signer: newSigner() })).toMatchObject({ status: 403 });
    expect(await upload({ signer: newSigner(), account: 'nobody-at-all' })).toMatchObject({ status: 404, code: 'unknown-account' });
  });

  test('signed for another network, host, path, method, body or time are refused', async () => {
    const url = `${network.gateway}/v1/code/${sha256(code)}`;
    const forgeries: Upload[] = [
      { chain: '0'.repeat(64) },
      { signed: { url: url.replace('127.0.0.1', 'other.example') } },
      { signed: { url: `${url}?x=1` } },
      { signed: { method: 'POST' } },
      { signed: { body: utf8('something else') } },
      { nowMs: Date.now() - 10 * 60_000 },
      { nowMs: Date.now() + 10 * 60_000 },
      { headers: { signature: `orb=:${'A'.repeat(86)}==:` } },
      { headers: { 'signature-input': 'orb=()' } },
    ];
    for (const forgery of forgeries)
      expect(await upload({ signer: alice, ...forgery })).toMatchObject({ status: 401, code: 'unauthenticated' });
    expect(await upload({ signer: alice })).toMatchObject({ status: 201 });
  });

  test('a request that was heard on the way works once', async () => {
    const url = `${network.gateway}/v1/functions/alice/greet/seed`;
    const body = '{}';
    const headers = {
      ...signRequest({ method: 'POST', url, body: utf8(body) }, network.links.chain, alice, Date.now()),
      'content-type': 'application/json',
    };
    const first = await fetch(url, { method: 'POST', body, headers });
    expect([first.status, (await first.text()).includes('"done"')]).toEqual([200, true]);
    const replayed = await fetch(url, { method: 'POST', body, headers });
    expect(replayed.status).toBe(401);
    expect(await replayed.json()).toMatchObject({ error: { code: 'unauthenticated', message: expect.stringContaining('used already') } });
  });

  test('nobody but the owner asks nodes to seed a function, and code under a wrong hash is not taken', async () => {
    const url = `${network.gateway}/v1/functions/alice/greet/seed`;
    const headers = {
      ...signRequest({ method: 'POST', url, body: utf8('{}') }, network.links.chain, mallory, Date.now()),
      'content-type': 'application/json',
    };
    expect((await fetch(url, { method: 'POST', body: '{}', headers })).status).toBe(403);
    const wrong = `${network.gateway}/v1/code/${'0'.repeat(64)}`;
    const signature = signRequest({ method: 'PUT', url: wrong, body: code }, network.links.chain, alice, Date.now());
    const response = await fetch(wrong, {
      method: 'PUT',
      body: code as Uint8Array<ArrayBuffer>,
      headers: { 'orb-account': 'alice', ...signature },
    });
    expect([response.status, ((await response.json()) as { error: { code: string } }).error.code]).toEqual([400, 'code-mismatch']);
  });
});

async function submit(transaction: unknown): Promise<{ status: number; code: string }> {
  const response = await fetch(`${network.gateway}/v1/ledger/transactions`, {
    method: 'POST',
    body: JSON.stringify(transaction),
    headers: { 'content-type': 'application/json' },
  });
  return { status: response.status, code: ((await response.json()) as { error?: { code: string } }).error?.code ?? '' };
}

describe('transactions', () => {
  const ids = () => ({ alice: accountId(alice.publicKey), mallory: accountId(mallory.publicKey) });
  const transfer = async (changes: object, signer: Signer, chain = network.links.chain): Promise<Transaction> => {
    const { sequence } = await network.orbClient.accounts.show('alice');
    const body = { from: ids().alice, sequence: sequence + 1, to: ids().mallory, units: '1000', ...changes };
    return signTransaction(chain, 'transfer', body, [signer]) as Transaction;
  };

  test('nobody spends another’s money: forged, unsigned, altered, of another chain', async () => {
    expect(await submit(await transfer({}, mallory))).toEqual({ status: 403, code: 'bad-signature' });
    const good = await transfer({}, alice);
    expect((await submit({ ...good, signatures: [] })).status).toBeGreaterThanOrEqual(400);
    expect(await submit({ ...good, body: { ...good.body, units: '9000' } })).toEqual({ status: 403, code: 'bad-signature' });
    expect(await submit(await transfer({}, alice, '0'.repeat(64)))).toEqual({ status: 400, code: 'wrong-chain' });
  });

  test('no negative, empty or self transfer, none above the balance', async () => {
    for (const units of ['-5', '0', '1.5', '1e3', '']) expect((await submit(await transfer({ units }, alice))).status).toBe(400);
    expect((await submit(await transfer({ to: ids().alice }, alice))).status).toBe(400);
    expect(await submit(await transfer({ units: '900000000000000' }, alice))).toEqual({ status: 402, code: 'insufficient-funds' });
  });

  test('a transaction that is sent again happens once', async () => {
    const before = await network.orbClient.accounts.show('mallory');
    const good = await transfer({}, alice);
    expect((await submit(good)).status).toBe(200);
    await submit(good);
    await submit(good);
    expect((await network.orbClient.accounts.show('mallory')).availableUnits).toBe(before.availableUnits + 1_000n);
  });

  test('nobody but the treasury makes money, nobody but the super node settles, nobody but the control key changes a function', async () => {
    const { chain, key } = network.links;
    const mint = signTransaction(chain, 'treasury.mint', { sequence: 99, to: ids().mallory, units: '1000' }, [mallory]);
    expect((await submit(mint)).status).toBe(403);
    const superNode = superNodeId(key);
    const settle = {
      superNode,
      batches: [],
      lost: [
        {
          node: nodeId(mallory.publicKey),
          ticket: ['0'.repeat(32), 0, 1, '0'.repeat(32), greet.id, greet.version, 1, '10', '1', '0'.repeat(64), Date.now()],
        },
      ],
    };
    expect((await submit(signTransaction(chain, 'job.settle', settle as never, [mallory]))).status).toBe(403);
    const control = (signer: Signer, sequence: number) =>
      signTransaction(chain, 'function.control', { function: greet.id, sequence, action: { type: 'decommission' } }, [signer]);
    for (const signer of [mallory, alice]) expect((await submit(control(signer, 2))).status).toBe(403);
    expect(await network.call('greet')).toMatchObject({ status: 200 });
  });

  test('nobody certifies a node for another’s account, nor takes a key that is in use', async () => {
    const { chain } = network.links;
    const own = newSigner();
    const { sequence } = await network.orbClient.accounts.show('lender');
    const lender = (await network.orbClient.accounts.show('lender')).id;
    const register = signTransaction(
      chain,
      'node.register',
      { account: lender, sequence: sequence + 1, key: own.publicKey, label: 'cuckoo' },
      [mallory, own],
    );
    expect((await submit(register)).status).toBe(403);
  });
});

describe('links', () => {
  const start = (label: string, flags: readonly string[]) =>
    network.spawn(`node ${label}`, ['node', 'start', '--label', label, '--folder', network.nodeFolder(label), ...flags, '--json'], {
      ORB_GATEWAY: '',
    });

  test('a node whose key no account has certified is told so and gets no link', async () => {
    const { address, key, chain } = network.links;
    const node = start('stray', ['--super', address, '--super-key', key, '--chain', chain]);
    await node.said(/not registered on the ledger/);
    expect((await network.linkedNodes()).map(({ label }) => label)).toEqual(['ant']);
    expect(await node.end('SIGINT')).toEqual({ code: 0, signal: null });
  });

  test('a node does not speak to a super node that lacks the pinned key, or to one of another network', async () => {
    const { address, key, chain } = network.links;
    const pinned = start('picky', ['--super', address, '--super-key', newSigner().publicKey, '--chain', chain]);
    await pinned.said(/No link to/);
    const elsewhere = start('elsewhere', ['--super', address, '--super-key', key, '--chain', 'f'.repeat(64)]);
    await elsewhere.said(/No link to/);
    expect((await network.linkedNodes()).map(({ label }) => label)).toEqual(['ant']);
    await Promise.all([pinned.end('SIGINT'), elsewhere.end('SIGINT')]);
  });
});

test('after all of that the books balance and the ledger verifies', async () => {
  expect((await checkBooks(network)).total).toBe(0n);
});
