import { createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { HttpCaller } from './http-caller.ts';
import { PayloadSource } from './payload.ts';

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** A server that answers each request, whole as it came, with the pieces that `answer` makes. */
async function callerOf(answer: (request: string) => readonly string[]): Promise<HttpCaller> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('data', (chunk) => void writeApart(socket, answer(String(chunk))));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const caller = new HttpCaller({
    protocol: 'http',
    urls: [`http://127.0.0.1:${(server.address() as AddressInfo).port}/fn/a/b`],
    headers: {},
  });
  stops.push(() => {
    void caller.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return caller;
}

async function writeApart(socket: Socket, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    await new Promise((resolve) => socket.write(piece, resolve));
    await new Promise(setImmediate);
  }
}

const payload = () => new PayloadSource('test', 200).next();
const bodyIn = (request: string) => request.slice(request.indexOf('\r\n\r\n') + 4);

test('an echo is right, another body is wrong', async () => {
  const caller = await callerOf((request) => [`HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n${bodyIn(request)}`]);
  expect(await caller.call(payload())).toBe(true);
  const liar = await callerOf((request) => [`HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n${bodyIn(request).toUpperCase()}`]);
  expect(await liar.call(payload())).toBe(false);
});

test('a response in many pieces and in chunks is put together', async () => {
  const caller = await callerOf((request) => {
    const body = bodyIn(request);
    const whole = `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\n${body.slice(0, 100)}\r\n64\r\n${body.slice(100)}\r\n0\r\n\r\n`;
    return whole.match(/[^]{1,37}/g) ?? [];
  });
  expect(await caller.call(payload())).toBe(true);
  expect(await caller.call(payload())).toBe(true);
});

test('a refusal is an error with its status and code', async () => {
  const body = '{"error":{"code":"overloaded"}}';
  const caller = await callerOf(() => [`HTTP/1.1 503 Busy\r\ncontent-length: ${body.length}\r\n\r\n${body}`]);
  await expect(caller.call(payload())).rejects.toThrow('status 503 overloaded');
});

test('bytes after a response are an error: they would be taken for the next answer', async () => {
  const caller = await callerOf((request) => [`HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n${bodyIn(request)}HTTP/1.1 200 OK\r\n`]);
  await expect(caller.call(payload())).rejects.toThrow('bytes after the response');
});

test('a connection that the server ends is not used again', async () => {
  const caller = await callerOf((request) => [`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 200\r\n\r\n${bodyIn(request)}`]);
  expect(await caller.call(payload())).toBe(true);
  expect(await caller.call(payload())).toBe(true);
});

test('a connection that the server has closed while it stood idle is not used again', async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('data', (chunk) => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n${bodyIn(String(chunk))}`));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const caller = new HttpCaller({ protocol: 'http', urls: [`http://127.0.0.1:${(server.address() as AddressInfo).port}/`], headers: {} });
  stops.push(() => {
    void caller.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  expect(await caller.call(payload())).toBe(true);
  // The caller's end of it has closed by the time that this side hears of it.
  await new Promise<void>((resolve) => {
    sockets[0]!.once('close', () => resolve());
    sockets[0]!.end();
  });
  await new Promise(setImmediate);
  expect(await caller.call(payload())).toBe(true);
  expect(sockets.length).toBe(2);
});
