import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CosignatureBook, httpCosignatures, openCosigner, startCosigning, type CosignaturesMessage } from '@orb/ledger/finality';
import { httpUpstream, openReplicaLedger, type ReplicaLedger } from '@orb/ledger/replica';
import { TestNetwork, testSigner } from '@orb/ledger/testing';
import { accountId, blockHash, finalityOf, transactionId } from '@orb/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startLedgerGateway } from './ledger-gateway.ts';
import { TestSuperNode } from '../testing/test-super-node.ts';

let superNode: TestSuperNode;
let folder: string;
const opened: ReplicaLedger[] = [];

beforeEach(async () => {
  superNode = await TestSuperNode.start();
  folder = await mkdtemp(join(tmpdir(), 'orb-replica-'));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((replica) => replica.close()));
  await superNode.stop();
  await rm(folder, { recursive: true, force: true });
});

async function openReplica(url = superNode.url): Promise<ReplicaLedger> {
  const { chain, genesis } = superNode.net.ledger;
  const backOff = { firstMs: 5, mostMs: 20 };
  const replica = await openReplicaLedger({ folder, genesis, upstream: httpUpstream({ url, chain }), backOff });
  opened.push(replica);
  return replica;
}

const reached = (replica: ReplicaLedger, height: number) =>
  new Promise<void>((resolve) => {
    const following = replica.follow(height, () => (following.stop(), resolve()));
  });

test('a replica follows a super node over HTTP, block by block as they are made', async () => {
  const replica = await openReplica();
  await superNode.net.createAccount('carol');
  await reached(replica, superNode.net.ledger.head.height);
  expect(blockHash(replica.head)).toBe(blockHash(superNode.net.ledger.head));
  expect(replica.status).toMatchObject({ state: 'following', error: undefined });
});

test('what is submitted to a replica is ordered by the super node, and is in the replica’s own copy when it answers', async () => {
  const replica = await openReplica();
  const net = new TestNetwork(replica, superNode.net.clock);
  await net.createAccount('carol');
  expect(await replica.get('account-name/carol')).toBeDefined();
  const again = net.sign('account.create', { name: 'carol', key: testSigner('other').publicKey, roles: [] }, testSigner('other'));
  await expect(replica.submit(again)).rejects.toMatchObject({ code: 'name-taken' });
});

test('a replica of another network is told so, and nothing is kept', async () => {
  const { genesis } = superNode.net.ledger;
  const other = { ...genesis, name: 'other' };
  const upstream = httpUpstream({ url: superNode.url, chain: superNode.net.ledger.chain });
  await expect(openReplicaLedger({ folder, genesis: other, upstream })).rejects.toMatchObject({ code: 'wrong-chain' });
});

test('following from beyond the head waits for it, and a height that is none is refused', async () => {
  const bad = await fetch(`${superNode.url}/v1/ledger/follow?from=-1`);
  expect(bad.status).toBe(400);
  const ending = new AbortController();
  const next = superNode.net.ledger.head.height + 1;
  const response = await fetch(`${superNode.url}/v1/ledger/follow?from=${next}`, { signal: ending.signal });
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  expect(decoder.decode((await reader.read()).value)).toBe('\n');
  await superNode.net.createAccount('carol');
  expect(JSON.parse(decoder.decode((await reader.read()).value))).toMatchObject({ header: { height: next } });
  ending.abort();
});

test('a peer co-signs over HTTP, and serves the co-signatures of its block, the finality and the proofs as the super node does', async () => {
  const { ledger } = superNode.net;
  const peer = await superNode.net.createAccount('peer');
  await superNode.net.listPeers([peer]);
  const book = await CosignatureBook.open({ folder: join(folder, 'book'), ledger });
  const log = { info() {}, warn() {}, error() {} };
  const orderer = await startLedgerGateway(
    { listen: '127.0.0.1:0', key: peer.publicKey, software: 'test' },
    { ledger, cosignatures: book, log },
  );
  const cosignatures = httpCosignatures({ url: orderer.url });
  const replica = await openReplica(orderer.url);
  const cosigner = await openCosigner(folder, peer, replica);
  const { promise: signed, resolve } = Promise.withResolvers<void>();
  const send = async (message: CosignaturesMessage, signal: AbortSignal) => {
    await cosignatures.send(message, signal);
    if (message.cosignatures.at(-1)!.height === ledger.head.height) resolve();
  };
  const cosigning = startCosigning({ ledger: replica, cosigner, sink: { heightOf: cosignatures.heightOf, send } });
  const served = await startLedgerGateway(
    { listen: '127.0.0.1:0', key: peer.publicKey, software: 'test' },
    { ledger: replica, cosignatures, log },
  );
  try {
    await signed;
    // oxlint-disable-next-line typescript/no-explicit-any -- a test reads what it expects
    const get = async (path: string): Promise<any> => (await fetch(`${served.url}${path}`)).json();
    expect(await get('/v1/ledger/cosignatures')).toMatchObject({
      source: 'ledger',
      final: ledger.head.height,
      peers: [{ id: accountId(peer.publicKey) }],
    });
    const [transaction] = (await ledger.block(2))!.transactions;
    const proof = await get(`/v1/ledger/transactions/${transactionId(transaction!)}/proof`);
    expect(finalityOf(proof.header, proof.cosignatures, [peer.publicKey])).toEqual({ final: true, signed: 1, of: 1 });
    const rubbish = await fetch(`${served.url}/v1/ledger/cosignatures`, { method: 'POST', body: '{"v":1}' });
    expect(rubbish.status).toBe(400);
    await cosigning.stop();
    await orderer.close();
    // Whoever keeps the co-signatures is away: the proof still holds, with the orderer's word alone.
    expect(await get(`/v1/ledger/transactions/${transactionId(transaction!)}/proof`)).toEqual({ ...proof, cosignatures: [] });
  } finally {
    await cosigning.stop();
    await Promise.all([served.close(), orderer.close(), cosignatures.close()]);
    await book.close();
  }
});

describe('through a proxy that cannot be trusted', () => {
  let proxy: Server;
  /** What becomes of a line that is on its way, and whether the connection breaks off behind it. */
  let onLine: (line: string) => { readonly text: string; readonly broken?: boolean };

  beforeEach(async () => {
    onLine = (line) => ({ text: `${line}\n` });
    proxy = createServer((request, response) => void forward(request, response));
    await once(proxy.listen(0, '127.0.0.1'), 'listening');
  });
  afterEach(() => {
    proxy.closeAllConnections();
    proxy.close();
  });

  async function forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const ending = new AbortController();
    response.on('close', () => ending.abort());
    try {
      const answer = await fetch(`${superNode.url}${request.url}`, { signal: ending.signal });
      response.writeHead(answer.status);
      if (!request.url!.includes('/follow')) return void response.end(await answer.text());
      let rest = '';
      for await (const part of answer.body!.pipeThrough(new TextDecoderStream() as never) as unknown as AsyncIterable<string>) {
        const lines = (rest + part).split('\n');
        rest = lines.pop()!;
        for (const line of lines) {
          const { text, broken } = onLine(line);
          response.write(text);
          if (broken) return response.socket!.destroySoon();
        }
      }
    } catch {
      response.destroy();
    }
  }

  const proxyUrl = () => `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;

  test('a stream that is cut in the middle of a block is asked for again, and nothing of the half block is believed', async () => {
    await superNode.net.createAccount('carol');
    let cuts = 3;
    onLine = (line) => (line.includes('"height":2,') && cuts-- > 0 ? { text: line.slice(0, 400), broken: true } : { text: `${line}\n` });
    const replica = await openReplica(proxyUrl());
    await reached(replica, superNode.net.ledger.head.height);
    expect(cuts).toBeLessThan(1);
    expect(blockHash(replica.head)).toBe(blockHash(superNode.net.ledger.head));
    expect(await readdir(folder)).not.toContain('evidence');
  });

  test('a block that is changed on the way is refused and kept, and the right one is taken later', async () => {
    await superNode.net.createAccount('carol');
    let changes = 2;
    onLine = (line) => ({ text: `${line.includes('"carol"') && changes-- > 0 ? line.replace('carol', 'mallo') : line}\n` });
    const replica = await openReplica(proxyUrl());
    await reached(replica, superNode.net.ledger.head.height);
    expect(await replica.get('account-name/mallo')).toBeUndefined();
    expect(await replica.get('account-name/carol')).toBeDefined();
    expect(await readdir(join(folder, 'evidence'))).toHaveLength(1);
  });

  test('a line that never ends is not read to its end', async () => {
    const endless = createServer((request, response) => {
      if (!request.url!.includes('/follow'))
        return void fetch(`${superNode.url}${request.url}`).then(async (answer) => response.end(await answer.text()));
      const piece = Buffer.alloc(1024 * 1024, 'x');
      const more = () => {
        while (!response.destroyed && response.write(piece));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    });
    await once(endless.listen(0, '127.0.0.1'), 'listening');
    const replica = openReplica(`http://127.0.0.1:${(endless.address() as AddressInfo).port}`);
    await expect(replica).rejects.toMatchObject({ code: 'ledger-unavailable', message: expect.stringContaining('longer than') });
    endless.closeAllConnections();
    endless.close();
  });
});
