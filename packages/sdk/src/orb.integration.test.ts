import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { OrbError, chainId, checkSignedRequest, createSigner, sha256, type Genesis } from '@orb/protocol';
import { afterEach, expect, test } from 'vitest';
import { Orb } from './orb.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;
const servers: Server[] = [];

async function serve(handler: Handler): Promise<string> {
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

const signer = createSigner(sha256('orb test key sdk'));

test('an answer that never ends is cut off at its limit, and the server is told to stop', async () => {
  let closed: () => void;
  const stopped = new Promise<void>((resolve) => (closed = resolve));
  const url = await serve((_, response) => {
    response.on('close', () => closed());
    const send = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536, 120)));
      if (!response.destroyed) response.once('drain', send);
    };
    send();
  });
  const orb = new Orb({ url });
  await expect(orb.nodes()).rejects.toMatchObject({ code: 'too-large' });
  await stopped;
  await expect(orb.call('alice/hello', 1, { outputLimit: 1_000 })).rejects.toMatchObject({ code: 'too-large' });
});

test('an NDJSON line without an end is cut off too', async () => {
  const url = await serve((_, response) => {
    response.writeHead(200);
    const send = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536, 32)));
      if (!response.destroyed) response.once('drain', send);
    };
    send();
  });
  const lines = new Orb({ url, account: { signer }, chain: '0'.repeat(64) }).ledger.blocks();
  await expect(lines.next()).rejects.toMatchObject({ code: 'too-large' });
});

test('what is no Orb answer is told apart from an Orb error', async () => {
  const url = await serve((request, response) => {
    if (request.url === '/v1/nodes') return void response.writeHead(200).end('<html>');
    if (request.url === '/v1/status') return void response.writeHead(500).end('<html>oops');
    return void response.writeHead(409).end(JSON.stringify({ error: new OrbError('name-taken', { message: 'Taken.' }).toJSON() }));
  });
  const orb = new Orb({ url });
  await expect(orb.nodes()).rejects.toMatchObject({ code: 'protocol-violation' });
  await expect(orb.status()).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('answered 500') });
  await expect(orb.jobs()).rejects.toMatchObject({ code: 'name-taken', message: 'Taken.' });
});

test('a chain id that its genesis does not have, or another chain than the one meant, is refused', async () => {
  const genesis = {
    v: 1,
    name: 'net',
    network: 'test',
    time: 0,
    salt: '0'.repeat(64),
    treasuryKey: '1'.repeat(64),
    ordererKey: '2'.repeat(64),
  };
  const parameters = {
    version: 1,
    fromHeight: 0,
    split: { relayBps: 0, commissionBps: 0, seedingBps: 0 },
    disputeWindowMs: 0,
    graceMs: 1_000,
    runToleranceMs: 0,
    minBond: '0',
    faucetGrant: '0',
    faucetTotal: '0',
  };
  const chain = chainId({ ...genesis, parameters } as unknown as Genesis);
  let told = chain;
  const hash = '3'.repeat(64);
  const url = await serve((_, response) => {
    const head = { v: 1, chain, epoch: 1, height: 0, time: 0, previous: chain, count: 0, transactions: hash, results: hash, state: hash };
    response.end(
      JSON.stringify({
        name: 'net',
        network: 'test',
        chain: told,
        genesis: { ...genesis, parameters },
        parameters,
        head,
        superNode: { id: hash },
      }),
    );
  });
  expect((await new Orb({ url, chain }).network()).chain).toBe(chain);
  await expect(new Orb({ url, chain: '9'.repeat(64) }).network()).rejects.toMatchObject({ code: 'wrong-chain' });
  told = '9'.repeat(64);
  await expect(new Orb({ url }).network()).rejects.toMatchObject({ code: 'wrong-chain' });
});

test('a call ends when its signal aborts', async () => {
  const stop = new AbortController();
  const url = await serve(() => stop.abort());
  await expect(new Orb({ url }).call('alice/slow', {}, { signal: stop.signal })).rejects.toMatchObject({ code: 'cancelled' });
});

test('only a function that asks who calls gets a signature, and it covers body and path', async () => {
  const chain = 'a'.repeat(64);
  const seen: (string | undefined)[] = [];
  const url = await serve((request, response) => {
    if (request.url === '/v1/network') return void response.writeHead(404).end();
    const chunks: Buffer[] = [];
    request
      .on('data', (chunk: Buffer) => chunks.push(chunk))
      .on('end', () => {
        const input = request.headers['signature-input'] as string | undefined;
        seen.push(input);
        if (!input) return void response.writeHead(401).end(JSON.stringify({ error: new OrbError('unauthenticated').toJSON() }));
        const signed = /tag="orb:([0-9a-f]{64})"/.exec(input)![1]!;
        const { key } = checkSignedRequest(
          { method: 'POST', url: `${url}${request.url}`, body: Buffer.concat(chunks) },
          request.headers as Record<string, string>,
          signed,
          Date.now(),
        );
        return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ key }));
      });
    return undefined;
  });
  const orb = new Orb({ url, account: { signer } });
  Object.defineProperty(orb, 'network', { value: async () => ({ chain }) });
  const { output } = await orb.call('alice/private', { a: 1 });
  expect(output).toEqual({ key: signer.publicKey });
  expect(seen.map((input) => input !== undefined)).toEqual([false, true]);
});

test('a redirect of the API is not followed: a signed request stays where its signer sent it', async () => {
  let reached = false;
  const other = await serve((_, response) => {
    reached = true;
    response.end('{}');
  });
  const url = await serve((_, response) => response.writeHead(307, { location: other }).end());
  await expect(new Orb({ url }).status()).rejects.toMatchObject({ code: 'link-closed' });
  expect(reached).toBe(false);
});

test('output is JSON, text or bytes as the function says, and JSON that is none is the function’s fault', async () => {
  const url = await serve((request, response) => {
    const [type, body] = {
      '/fn/alice/json': ['application/json', '{"a":1}'],
      '/fn/alice/text': ['text/plain; charset=utf-8', 'hé'],
      '/fn/alice/bytes': ['image/png', Buffer.from([0, 255])],
      '/fn/alice/bad': ['application/json', '{'],
    }[request.url!]!;
    response
      .writeHead(200, {
        'content-type': type as string,
        'orb-job': `x\u00ff${'y'.repeat(99)}`,
        'server-timing': `run;dur=1.5, prc;dur=x, ${'z'.repeat(5_000)}`,
      })
      .end(body);
  });
  const orb = new Orb({ url });
  expect((await orb.call('alice/json')).output).toEqual({ a: 1 });
  expect((await orb.call('alice/text')).output).toBe('hé');
  const { output, info } = await orb.call('alice/bytes');
  expect(output).toEqual(new Uint8Array([0, 255]));
  expect(info).toMatchObject({ job: undefined, times: { run: 1.5 } });
  await expect(orb.call('alice/bad')).rejects.toMatchObject({ code: 'bad-response' });
});

test('names and addresses that cannot be are refused before anything is sent', async () => {
  const orb = new Orb({ url: 'http://127.0.0.1:9' });
  for (const path of ['alice', 'alice/../x', 'ALICE/x', 'alice/x#y', '/', 'alice/%2e'])
    await expect(orb.call(path)).rejects.toMatchObject({ code: 'invalid-request' });
  for (const url of ['ftp://x', 'x', 'http://user:pw@host', '']) expect(() => new Orb({ url })).toThrow('not the address');
});
