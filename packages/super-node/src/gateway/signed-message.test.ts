import { signRequest } from '@orb/protocol';
import type { FastifyRequest } from 'fastify';
import { afterEach, expect, test } from 'vitest';
import { TestSuperNode } from '../testing/test-super-node.ts';
import { signedMessage } from './signed-message.ts';

let net: TestSuperNode | undefined;
afterEach(async () => {
  await net?.stop();
  net = undefined;
});

test('a request signed for localhost reaches a gateway that calls itself 127.0.0.1, and one signed for elsewhere does not', async () => {
  net = await TestSuperNode.start();
  await net.addNode('node');
  await net.deploy('echo', { visibility: 'private' });
  const { port } = new URL(net.url);
  const call = (signedFor: string) => {
    const url = `http://${signedFor}/fn/bob/echo`;
    const signature = signRequest({ method: 'GET', url, body: new Uint8Array() }, net!.running.chain, net!.bob, Date.now());
    return fetch(`http://localhost:${port}/fn/bob/echo`, { headers: { ...signature } });
  };
  expect((await call(`localhost:${port}`)).status).toBe(200);
  for (const other of ['localhost:1', 'orb.example.com', `127.0.0.2:${port}`]) expect((await call(other)).status).toBe(401);
});

test('only loopback has a second name, and only the one that goes with its address', () => {
  const named = (publicUrl: string, host: string | undefined) =>
    signedMessage({ publicUrl }, { method: 'GET', headers: { host }, raw: { url: '/v1/x?y' } } as unknown as FastifyRequest).url;
  expect(named('http://127.0.0.1:7080', 'LOCALHOST:7080')).toBe('http://localhost:7080/v1/x?y');
  expect(named('http://[::1]:7080', 'localhost:7080')).toBe('http://localhost:7080/v1/x?y');
  expect(named('http://localhost:7080', '127.0.0.1:7080')).toBe('http://127.0.0.1:7080/v1/x?y');
  for (const host of ['127.0.0.1:7080', 'localhost', 'localhost:7081', 'localhost:7080.evil', 'evil@localhost:7080', undefined])
    expect(named('http://127.0.0.1:7080', host)).toBe('http://127.0.0.1:7080/v1/x?y');
  expect(named('https://orb.example.com', 'localhost')).toBe('https://orb.example.com/v1/x?y');
});
