import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { OrbError } from '@orb/protocol';
import { afterEach, expect, test } from 'vitest';
import { Orb } from '../orb.ts';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** A gateway that refuses the first calls so, then answers; and when it was asked. */
async function gateway(refusals: readonly { readonly error: OrbError; readonly retryAfter?: string; readonly begun?: boolean }[]) {
  const askedAt: number[] = [];
  const server = createServer((_request, response) => {
    askedAt.push(performance.now());
    const refusal = refusals[askedAt.length - 1];
    if (!refusal) return void response.writeHead(200, { 'content-type': 'application/json', 'orb-call': '0'.repeat(32) }).end('"here"');
    const { error, retryAfter, begun } = refusal;
    response.writeHead(error.status, {
      'orb-error': error.code,
      ...(retryAfter !== undefined && { 'retry-after': retryAfter }),
      ...(begun && { 'orb-call': '0'.repeat(32), 'orb-job': `${'0'.repeat(32)}-1` }),
    });
    return void response.end(JSON.stringify({ error: error.toJSON() }));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, askedAt };
}

const hinted = (code: ConstructorParameters<typeof OrbError>[0], retryAfterMs = 40) => ({ error: new OrbError(code, { retryAfterMs }) });

test.each(['rate-limited', 'overloaded', 'shutting-down', 'no-node-fits'] as const)(
  'a call that was refused with %s comes again, and not before it was told to',
  async (code) => {
    const { url, askedAt } = await gateway([hinted(code), hinted(code)]);
    expect((await new Orb({ url }).call('alice/hello', 1)).output).toBe('here');
    expect(askedAt).toHaveLength(3);
    // A timer of Node's may be a millisecond early.
    for (const i of [1, 2]) expect(askedAt[i]! - askedAt[i - 1]!).toBeGreaterThanOrEqual(39);
  },
);

test('Retry-After counts where the error itself says no time', async () => {
  const { url, askedAt } = await gateway([{ error: new OrbError('overloaded'), retryAfter: '1' }]);
  expect((await new Orb({ url }).call('alice/hello', 1)).output).toBe('here');
  expect(askedAt[1]! - askedAt[0]!).toBeGreaterThanOrEqual(999);
});

test('a wait that is too long is not waited, and retries end', async () => {
  const far = await gateway([{ error: new OrbError('overloaded'), retryAfter: '3600' }]);
  await expect(new Orb({ url: far.url }).call('alice/hello', 1)).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: 3_600_000 });
  expect(far.askedAt).toHaveLength(1);
  const busy = await gateway(Array.from({ length: 9 }, () => hinted('overloaded', 1)));
  await expect(new Orb({ url: busy.url, retries: 3 }).call('alice/hello', 1)).rejects.toMatchObject({ code: 'overloaded' });
  expect(busy.askedAt).toHaveLength(4);
});

test('what may have run, and what has a job, is made again only where that is allowed', async () => {
  const once = await gateway([hinted('node-lost')]);
  await expect(new Orb({ url: once.url }).call('alice/hello', 1)).rejects.toMatchObject({ code: 'node-lost' });
  expect(once.askedAt).toHaveLength(1);
  const again = await gateway([hinted('node-lost')]);
  expect((await new Orb({ url: again.url }).call('alice/hello', 1, { mayRepeat: true })).output).toBe('here');
  const begun = await gateway([{ ...hinted('overloaded'), begun: true }]);
  await expect(new Orb({ url: begun.url }).call('alice/hello', 1)).rejects.toMatchObject({ code: 'overloaded' });
  expect(begun.askedAt).toHaveLength(1);
});

test('an aborted signal ends the wait', async () => {
  const { url, askedAt } = await gateway([hinted('overloaded', 4_000)]);
  const abort = new AbortController();
  const call = new Orb({ url }).call('alice/hello', 1, { signal: abort.signal });
  await expect.poll(() => askedAt.length).toBe(1);
  abort.abort();
  await expect(call).rejects.toMatchObject({ code: 'cancelled' });
  expect(askedAt).toHaveLength(1);
});
