import { once } from 'node:events';
import { request } from 'node:https';
import { connect as connectTcp, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { echoHandler, newIdentity } from '../conformance/world.ts';
import type { Link, LinkListener } from '../port.ts';
import { makeCertificate } from './certificate.ts';
import { openWss } from './open-wss.ts';
import { WssTransport, type WssOptions } from './wss-transport.ts';

const certificate = await makeCertificate();
const identity = newIdentity('super-node');
const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).toReversed()) await step();
});

async function listen(options: WssOptions = {}, onLink: (link: Link) => void = () => undefined): Promise<LinkListener> {
  const listener = await new WssTransport({ certificate, ...options }).listen({
    identity,
    handler: echoHandler,
    authorize: () => undefined,
    onLink,
  });
  cleanUp.push(() => listener.close());
  return listener;
}

async function dial(address: string, who = newIdentity('node')): Promise<Link> {
  const link = await new WssTransport().dial(address, { identity: who, handler: echoHandler, peerKey: identity.signer.publicKey });
  cleanUp.push(() => link.close());
  return link;
}

function hostPort(address: string): { host: string; port: number } {
  const { hostname, port } = new URL(address);
  return { host: hostname, port: Number(port) };
}

/** A TCP connection to a listener; resolves with `open` or `closed`, whichever is true after the server has seen it. */
async function knock(address: string): Promise<Socket> {
  const socket = connectTcp(hostPort(address));
  socket.on('error', () => undefined);
  cleanUp.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** Ends TLS, looks at everything, and makes TLS anew towards the listener. */
async function manInTheMiddle(listener: string): Promise<{ address: string; seen(): number }> {
  let seen = 0;
  const own = await makeCertificate();
  const server = createTlsServer({ cert: own.certificate, key: own.privateKey }, (victim) => {
    const onward = connectTls({ ...hostPort(listener), rejectUnauthorized: false });
    for (const [from, to] of [[victim, onward] as const, [onward, victim] as const]) {
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
      from.on('data', (bytes: Buffer) => {
        seen += bytes.length;
        to.write(bytes);
      });
    }
  }).listen(0, '127.0.0.1');
  cleanUp.push(() => server.close());
  await once(server, 'listening');
  return { address: `wss://127.0.0.1:${(server.address() as AddressInfo).port}`, seen: () => seen };
}

describe('a wss link', () => {
  test('is refused through a proxy that ends TLS, although the proxy passes every byte on', async () => {
    const links: Link[] = [];
    const listener = await listen({}, (link) => links.push(link));
    const { address, seen } = await manInTheMiddle(listener.address);
    await expect(dial(address)).rejects.toMatchObject({
      code: 'link-refused',
      message: 'The other side could not prove that it holds its key on this connection.',
    });
    expect(seen()).toBeGreaterThan(1_000);
    expect(links).toHaveLength(0);
    // The same road without the man in the middle is open.
    expect((await (await dial(listener.address)).call('x', 1)).header).toBe(1);
  });

  test('speaks TLS 1.3 and nothing older', async () => {
    const { address } = await listen();
    const old = connectTls({ ...hostPort(address), rejectUnauthorized: false, maxVersion: 'TLSv1.2' });
    const [error] = (await once(old, 'error')) as [Error];
    expect(error.message).toMatch(/version/);
    const current = connectTls({ ...hostPort(address), rejectUnauthorized: false });
    await once(current, 'secureConnect');
    expect(current.getProtocol()).toBe('TLSv1.3');
    current.destroy();
  });

  test('is made with a certificate made at run time when none is given', async () => {
    const listener = await new WssTransport().listen({
      identity,
      handler: echoHandler,
      authorize: () => undefined,
      onLink: () => undefined,
    });
    cleanUp.push(() => listener.close());
    expect((await (await dial(listener.address)).call('x', 2)).header).toBe(2);
  });

  test('reaches a public address as the listener names it', async () => {
    const listener = await listen({ publicAddress: 'wss://links.example.org:7443' });
    expect(listener.address).toBe('wss://links.example.org:7443');
  });

  test('is not tried at an address of another kind', async () => {
    for (const address of ['ws://127.0.0.1:1', 'https://127.0.0.1:1', 'nowhere'])
      await expect(dial(address)).rejects.toMatchObject({ code: 'invalid-request' });
  });

  test('to a port where nobody listens is `link-closed` and names the address', async () => {
    const listener = await listen();
    await listener.close();
    await expect(dial(listener.address)).rejects.toMatchObject({
      code: 'link-closed',
      message: expect.stringContaining(listener.address) as string,
    });
  });
});

describe('a wss listener', () => {
  test('says which address it cannot have', async () => {
    const first = await listen();
    const { port } = hostPort(first.address);
    await expect(listen({ port })).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(`127.0.0.1:${port}`) as string,
    });
  });

  test('answers a browser with 426 and a WebSocket of another kind with 400', async () => {
    const { address } = await listen();
    const [response] = (await once(request(address.replace('wss', 'https'), { rejectUnauthorized: false }).end(), 'response')) as [
      { statusCode: number; resume(): void },
    ];
    response.resume();
    expect(response.statusCode).toBe(426);
    const other = new WebSocket(address, 'chat', { rejectUnauthorized: false });
    const [error] = (await once(other, 'error')) as [Error];
    expect(error.message).toContain('400');
  });

  test('ends whatever is half open when its time is up: TCP, TLS, HTTP and WebSocket', async () => {
    const { address } = await listen({ handshakeTimeoutMs: 150 });
    const tcp = await knock(address);
    const tls = connectTls({ ...hostPort(address), rejectUnauthorized: false });
    tls.on('error', () => undefined);
    const http = connectTls({ ...hostPort(address), rejectUnauthorized: false });
    http.on('error', () => undefined);
    http.write('GET / HTTP/1.1\r\nhost: x\r\n');
    const { pipe } = await openWss(address);
    const gone = new Promise<void>((resolve) => {
      pipe.receive({ message: () => undefined, drain: () => undefined, gone: () => resolve() });
    });
    await Promise.all([once(tcp, 'close'), once(tls, 'close'), once(http, 'close'), gone]);
  });

  test('keeps a link that was made in time', async () => {
    const { address } = await listen({ handshakeTimeoutMs: 100 });
    const link = await dial(address);
    const late = await knock(address);
    await once(late, 'close');
    expect((await link.call('x', 1)).header).toBe(1);
  });

  test('serves others while one address floods it with half-open connections, and that address again when they are gone', async () => {
    const { address } = await listen({ admission: { handshakesPerAddress: 5 } });
    const flood = await Promise.all(Array.from({ length: 50 }, () => knock(address)));
    // Those over the bound are closed at once; five stay.
    await expect.poll(() => flood.filter((socket) => !socket.closed).length).toBe(5);
    await expect(dial(address)).rejects.toMatchObject({ code: 'link-closed' });
    for (const socket of flood) socket.destroy();
    await expect
      .poll(() =>
        dial(address).then(
          () => 'linked',
          () => 'refused',
        ),
      )
      .toBe('linked');
  });

  test('counts links of one address, and counts a finished handshake no more', async () => {
    const { address } = await listen({ admission: { connectionsPerAddress: 3, handshakesPerAddress: 1 } });
    const links = [await dial(address), await dial(address), await dial(address)];
    await expect(dial(address)).rejects.toMatchObject({ code: 'link-closed' });
    await links[0]!.close();
    await expect
      .poll(() =>
        dial(address).then(
          () => 'linked',
          () => 'refused',
        ),
      )
      .toBe('linked');
  });

  test('drops a WebSocket message over the limit before it is held in memory', async () => {
    let link: Link | undefined;
    const { address } = await listen({}, (made) => (link = made));
    const dialled = await dial(address);
    const socket = new WebSocket(address, 'orb-link-1', { rejectUnauthorized: false, perMessageDeflate: false });
    socket.on('error', () => undefined);
    await once(socket, 'open');
    socket.send(Buffer.alloc(10_000_000));
    const [code] = (await once(socket, 'close')) as [number];
    expect([1006, 1009]).toContain(code);
    expect((await dialled.call('x', 1)).header).toBe(1);
    expect(link).toBeDefined();
  });

  test('does not answer pings of the WebSocket itself, which the link does not use', async () => {
    const { address } = await listen();
    const socket = new WebSocket(address, 'orb-link-1', { rejectUnauthorized: false });
    cleanUp.push(() => socket.terminate());
    await once(socket, 'open');
    socket.on('pong', () => expect.unreachable());
    for (let i = 0; i < 100; i++) socket.ping();
    expect((await (await dial(address)).call('x', 1)).header).toBe(1);
  });
});

test('a certificate is made anew each time', async () => {
  const other = await makeCertificate();
  expect(other.privateKey).not.toBe(certificate.privateKey);
  expect(other.certificate).not.toBe(certificate.certificate);
});
