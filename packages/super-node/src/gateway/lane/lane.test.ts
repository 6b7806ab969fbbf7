import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TestSuperNode } from '../../testing/test-super-node.ts';

let net: TestSuperNode;
let socket: Socket;
let received: string;

beforeEach(async () => {
  net = await TestSuperNode.start();
  await net.addNode('node', {
    run: ({ path, method }, body) => ({
      status: path === '/none' ? 204 : 200,
      headers: [['x-mine', 'yes'], ...(path === '/dated' ? [['date', 'Thu, 01 Jan 1970 00:00:00 GMT'] as [string, string]] : [])],
      body: path === '/none' ? '' : `${method} ${path} ${Buffer.from(body).toString()}`,
    }),
  });
  await net.deploy('echo');
  received = '';
  socket = connect(Number(new URL(net.url).port), '127.0.0.1');
  socket.setEncoding('latin1').on('data', (text: string) => (received += text));
});
afterEach(async () => {
  socket.destroy();
  await net.stop();
});

const call = (path: string, body = '', more = '') =>
  `POST /fn/bob/echo${path} HTTP/1.1\r\nHost: x\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;
/** Replies so far, by who sent them: Node's own server writes names with capitals. */
const replies = () => received.split('HTTP/1.1 ').slice(1);
const byLane = (reply: string | undefined) => reply?.includes('\r\nkeep-alive: timeout=72\r\n');
const bodies = () => replies().map((reply) => reply.slice(reply.indexOf('\r\n\r\n') + 4));

async function got(count: number): Promise<string[]> {
  await expect.poll(() => bodies().filter((body) => body !== '').length, { timeout: 10_000 }).toBe(count);
  return bodies();
}

describe('on one connection', () => {
  test('calls sent all at once are answered one by one, in their order', async () => {
    socket.write(call('/1', 'a') + call('/2', 'b') + call('/3', 'c'));
    expect(await got(3)).toEqual(['POST /1 a', 'POST /2 b', 'POST /3 c']);
    expect(replies().every(byLane)).toBe(true);
    expect(replies()[0]).toContain('x-mine: yes\r\n');
  });

  test('a call may come in pieces', async () => {
    const text = call('/1', 'abc');
    for (const part of [text.slice(0, 10), text.slice(10, -2)]) {
      socket.write(part);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    socket.write(text.slice(-2));
    expect(await got(1)).toEqual(['POST /1 abc']);
    expect(byLane(replies()[0])).toBe(true);
  });

  test('in more pieces than the lane waits for, it is answered all the same', async () => {
    for (const byte of call('/1', 'abc')) {
      socket.write(byte);
      await new Promise(setImmediate);
    }
    expect(await got(1)).toEqual(['POST /1 abc']);
  });

  test('what is not plain is answered by the whole server, and all that follows', async () => {
    socket.write(call('/1', 'a') + call('/2', 'b', 'TE: trailers\r\n') + call('/3', 'c'));
    expect(await got(3)).toEqual(['POST /1 a', 'POST /2 b', 'POST /3 c']);
    expect(replies().map(byLane)).toEqual([true, false, false]);
  });

  test('a reply without a body leaves room for the next, and a function’s own date is the only one', async () => {
    socket.write(call('/none') + call('/dated'));
    expect(await got(1)).toEqual(['', 'POST /dated ']);
    expect(replies()[0]).toMatch(/^204 No Content\r\n/);
    expect(replies()[0]).not.toContain('content-length');
    expect(replies()[1]!.match(/^date: /gim)).toEqual(['date: ']);
  });

  test('who asks to close is let go after the answer', async () => {
    socket.write(call('/1', 'a', 'Connection: close\r\n'));
    await new Promise((resolve) => socket.once('end', resolve));
    expect(bodies()).toEqual(['POST /1 a']);
  });
});

test.each([
  ['two lengths', 'Content-Length: 1\r\nContent-Length: 2\r\n'],
  ['a length and chunks', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'],
  ['a space before the colon', 'Content-Length : 5\r\n'],
  ['a folded line', 'a: b\r\n c\r\n'],
])('a request that two readers could read in two ways reaches no function: %s', async (_, lines) => {
  socket.write(`POST /fn/bob/echo/1 HTTP/1.1\r\nHost: x\r\n${lines}\r\nhello`);
  await new Promise((resolve) => socket.once('close', resolve));
  expect(received).toMatch(/^HTTP\/1.1 400 /);
  expect(received).not.toContain('orb-job');
});

test('an idle connection does not hold up a stop', async () => {
  socket.write(call('/1', 'a'));
  await got(1);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await net.stop();
  await closed;
  net = await TestSuperNode.start();
});
