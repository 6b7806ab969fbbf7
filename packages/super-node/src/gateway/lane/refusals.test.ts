import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TestSuperNode } from '../../testing/test-super-node.ts';

let net: TestSuperNode;
let full: Socket;
let hung: Socket[];
let received: string;

const dial = () => connect(Number(new URL(net.url).port), '127.0.0.1').on('error', () => undefined);

beforeEach(async () => {
  net = await TestSuperNode.start({ maxWaitingCalls: 2 });
  await net.addNode('node', { offer: { slots: 1 }, run: () => new Promise(() => undefined) });
  await net.deploy('echo', { timeoutMs: 30_000 }, { allowance: false });
  await net.openAllowance({ maxUnits: '100000000' });
  hung = [dial(), dial()];
  full = dial();
  received = '';
  full.setEncoding('latin1').on('data', (text: string) => (received += text));
  for (const each of hung) each.write(call('/1', 'a'));
  await expect.poll(waiting, { timeout: 5_000 }).toBe(1);
});
afterEach(async () => {
  for (const each of [...hung, full]) each.destroy();
  await net.stop();
});

const call = (path: string, body = '') => `POST /fn/bob/echo${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const waiting = async () => ((await (await fetch(`${net.url}/v1/status`)).json()) as { totals: { waiting: number } }).totals.waiting;
const replies = () => received.split('HTTP/1.1 ').slice(1);
/** Node's own server writes names with capitals. */
const byLane = (reply: string | undefined) => reply?.includes('\r\nkeep-alive: timeout=72\r\n');
const bodies = () => replies().map((reply) => reply.slice(reply.indexOf('\r\n\r\n') + 4));

async function got(count: number): Promise<void> {
  await expect.poll(() => bodies().filter((body) => body !== '').length, { timeout: 10_000 }).toBe(count);
}

describe('when nobody has room', () => {
  test('each call is refused in the one form of an error, with a wait of its own, and the connection goes on', async () => {
    for (let count = 1; count <= 3; count++) {
      full.write(call('/1', 'abc'));
      await got(count);
    }
    full.write(call('/1', 'abc').repeat(20));
    await got(23);
    const errors = bodies().map((body) => (JSON.parse(body) as { error: { code: string; retryAfterMs: number } }).error);
    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['overloaded']));
    expect(new Set(errors.map(({ retryAfterMs }) => retryAfterMs)).size).toBe(16);
    for (const reply of replies()) {
      expect(reply).toMatch(/^503 Service Unavailable\r\n/);
      expect(reply).toMatch(/\r\nretry-after: [1-4]\r\n/);
      expect(reply).toMatch(/\r\ndate: .* GMT\r\n/);
      expect(reply).toContain('orb-error: overloaded\r\n');
      expect(reply).toContain('access-control-allow-origin: *\r\n');
    }
    expect(net.nodes[0]!.jobs.length).toBe(1);
  });

  test('what comes behind refused calls is looked at as ever', async () => {
    full.write(`${call('/1', 'a')}${call('/1', 'b')}GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n${call('/1', 'c')}`);
    await got(4);
    expect(replies().map((reply) => reply.slice(0, 3))).toEqual(['503', '503', '404', '503']);
    expect(replies().map(byLane)).toEqual([true, true, false, false]);
  });

  test('who takes no refusals is read no further', async () => {
    full.pause();
    const one = call('/1', 'a');
    const many = Buffer.from(one.repeat(500));
    let sent = 0;
    let stuck = 0;
    // Until nothing has gone for a while: the buffers of both sides are full.
    while (stuck < 20 && sent < 400) {
      if (full.writableLength === 0) {
        full.write(many);
        sent++;
        stuck = 0;
      } else stuck++;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(sent).toBeLessThan(400);
    full.resume();
    await got(sent * 500);
  });
});

test('a function may be called so often a second, whoever calls, and others as ever', async () => {
  await net.stop();
  net = await TestSuperNode.start({ callsPerSecondOfFunction: 0.5 });
  await net.addNode('node');
  for (const name of ['echo', 'quiet']) await net.deploy(name);
  const call = async (name: string) => (await fetch(`${net.url}/fn/bob/${name}`, { method: 'POST' })).status;
  expect(await call('echo')).toBe(200);
  // The burst is one call, and the next is welcome after two seconds: of so many at once, most come too early.
  const more = await Promise.all(Array.from({ length: 10 }, () => call('echo')));
  expect(more.filter((status) => status === 429).length).toBeGreaterThan(5);
  expect(await call('quiet')).toBe(200);
});
