import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { WsPipe } from './ws-pipe.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(() => {
  for (const step of cleanUp.splice(0).toReversed()) step();
});

/** Two WebSockets that are linked: the dialler's and the listener's. */
async function pair(): Promise<{ dialler: WebSocket; listener: WebSocket }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  cleanUp.push(() => server.close());
  await once(server, 'listening');
  const dialler = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const [[listener]] = (await Promise.all([once(server, 'connection'), once(dialler, 'open')])) as [[WebSocket], unknown];
  cleanUp.push(() => dialler.terminate());
  return { dialler, listener };
}

const connectionOf = (socket: WebSocket) => (socket as unknown as { _socket: ConstructorParameters<typeof WsPipe>[1] })._socket;

test.each(['dialler', 'listener'] as const)(
  'what the %s writes by itself, a WebSocket reads as one binary message, of any length',
  async (side) => {
    const sockets = await pair();
    const from = sockets[side];
    const to = side === 'dialler' ? sockets.listener : sockets.dialler;
    const pipe = new WsPipe(from, connectionOf(from), { address: 'x', dialled: side === 'dialler' });
    const broken = once(to, 'error').then(([error]) => Promise.reject(error as Error));
    broken.catch(() => undefined);
    for (const length of [1, 125, 126, 127, 65_535, 65_536, 200_000]) {
      const slab = Buffer.alloc(pipe.headRoom + length, 7);
      slab[pipe.headRoom + length - 1] = 9;
      const message = Promise.race([once(to, 'message'), broken]);
      const done = new Promise<void>((resolve) => pipe.sendFrom(slab, pipe.headRoom, pipe.headRoom + length, resolve));
      const [data, isBinary] = (await message) as [Buffer, boolean];
      expect(isBinary).toBe(true);
      expect(data.length).toBe(length);
      expect(data.equals(slab.subarray(pipe.headRoom))).toBe(true);
      await done;
    }
  },
);

test('beside what it writes, the WebSocket closes as ever', async () => {
  const { dialler, listener } = await pair();
  const pipe = new WsPipe(dialler, connectionOf(dialler), { address: 'x', dialled: true });
  const messages: number[] = [];
  listener.on('message', (data) => messages.push((data as Buffer).length));
  for (let count = 0; count < 10; count++) pipe.sendFrom(Buffer.alloc(1_014), 14, 1_014, () => undefined);
  pipe.close();
  const [code] = (await once(listener, 'close')) as [number];
  expect(code).toBe(1_005);
  expect(messages).toEqual(Array.from({ length: 10 }, () => 1_000));
});
