import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { checkSignedRequest, createSigner, OrbError, sha256 } from '@orb/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { Http } from './http.ts';
import { Orb } from './orb.ts';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

interface Gateway {
  readonly url: string;
  readonly asked: string[];
}

/** A gateway that does the same with every request. */
async function gateway(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Gateway> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    answer(request, response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const works = () =>
  gateway((_, response) => response.writeHead(200, { 'content-type': 'application/json', 'orb-call': '0'.repeat(32) }).end('"here"'));
const breaksOff = () => gateway((request) => request.socket.destroy());
const refuses = (code: ConstructorParameters<typeof OrbError>[0], headers = {}) =>
  gateway((_, response) => response.writeHead(503, headers).end(JSON.stringify({ error: new OrbError(code).toJSON() })));
/** An address where nobody listens: one that was just given back. */
async function nobody(): Promise<string> {
  const { url } = await works();
  const server = servers.pop()!;
  await new Promise((resolve) => server.close(resolve));
  return url;
}

describe('a client that knows two gateways', () => {
  test('calls at the second when the first is not there, and asks the second first from then on', async () => {
    const second = await works();
    const orb = new Orb({ url: [await nobody(), second.url] });
    expect((await orb.call('alice/hello', 1)).output).toBe('here');
    expect(orb.url).toBe(second.url);
    await orb.call('alice/hello', 1);
    expect(second.asked).toHaveLength(2);
  });

  test.each(['shutting-down', 'no-node-fits', 'overloaded'] as const)('calls at the second when the first says %s', async (code) => {
    const [first, second] = [await refuses(code), await works()];
    expect((await new Orb({ url: [first.url, second.url] }).call('alice/hello', 1)).output).toBe('here');
  });

  test.each(['breaks off', 'says that the node was lost'])('does not call again what may have run when the first %s', async (how) => {
    const [first, second] = [how === 'breaks off' ? await breaksOff() : await refuses('node-lost'), await works()];
    const orb = new Orb({ url: [first.url, second.url] });
    await expect(orb.call('alice/hello', 1)).rejects.toMatchObject({
      code: how === 'breaks off' ? 'link-closed' : 'node-lost',
      retryable: true,
    });
    expect(second.asked).toEqual([]);
  });

  test.each(['breaks off', 'says that the node was lost'])(
    'does so when the caller says that it may run twice, and the first %s',
    async (how) => {
      const [first, second] = [how === 'breaks off' ? await breaksOff() : await refuses('node-lost'), await works()];
      const orb = new Orb({ url: [first.url, second.url] });
      expect((await orb.call('alice/hello', 1, { mayRepeat: true })).output).toBe('here');
    },
  );

  test('the next call after one that broke off goes to the other gateway', async () => {
    const [first, second] = [await breaksOff(), await works()];
    const orb = new Orb({ url: [first.url, second.url] });
    await expect(orb.call('alice/hello', 1)).rejects.toMatchObject({ code: 'link-closed' });
    expect((await orb.call('alice/hello', 2)).output).toBe('here');
    expect(first.asked).toHaveLength(1);
  });

  test('leaves a function’s own 503 as it is', async () => {
    const [first, second] = [await refuses('overloaded', { 'orb-call': '1'.repeat(32), 'orb-receipt': 'at-end' }), await works()];
    const { response } = await new Orb({ url: [first.url, second.url] }).fetch('alice/hello');
    expect([response.status, second.asked]).toEqual([503, []]);
  });

  test('signs anew for the gateway that it asks: no signature is good at two', async () => {
    const chain = sha256('chain');
    const signer = createSigner(sha256('orb test key sdk'));
    const body = new TextEncoder().encode('code');
    const second = await gateway((request, response) => {
      const message = { method: 'PUT', url: `${second.url}${request.url}`, body };
      const { key } = checkSignedRequest(message, request.headers as Record<string, string>, chain, Date.now());
      response.writeHead(200).end(JSON.stringify({ key }));
    });
    const http = new Http({ url: [await nobody(), second.url] });
    const answer = await http.json('/v1/code/x', z.object({ key: z.string() }), { method: 'PUT', body, signWith: { signer, chain } });
    expect(answer.key).toBe(signer.publicKey);
  });

  test('reads the ledger at the second when the first breaks off, and tells the first error when both do', async () => {
    const [first, second, third] = [await breaksOff(), await works(), await breaksOff()];
    await expect(new Orb({ url: [first.url, third.url] }).nodes()).rejects.toMatchObject({ message: expect.stringContaining(first.url) });
    await expect(new Orb({ url: [first.url, second.url] }).status()).rejects.toMatchObject({ code: 'protocol-violation' });
    expect(second.asked).toEqual(['GET /v1/status']);
  });
});
