import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkBooks, settled } from './books.ts';
import { Network } from './network.ts';

let network: Network;
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'] });
  await Promise.all([
    network.deploy(
      'plain',
      `
      export default (input, ctx) => (input instanceof Uint8Array ? input : { input, call: ctx.callId, job: ctx.jobId });`,
    ),
    network.deploy(
      'web',
      `
      export default {
        async fetch(request: Request) {
          const url = new URL(request.url);
          if (url.pathname === '/bytes') return new Response(await request.arrayBuffer(), { headers: { 'content-type': 'image/x-test', 'x-two': 'b' } });
          if (url.pathname === '/teapot') return new Response('short and stout', { status: 418, headers: { 'access-control-allow-origin': 'https://tea.example' } });
          if (url.pathname === '/stream') return new Response(new ReadableStream({
            async start(out) { for (let i = 0; i < 3; i++) { out.enqueue(new TextEncoder().encode('part ' + i + ';')); await new Promise((r) => setTimeout(r, 5)); } out.close(); },
          }));
          return Response.json({ method: request.method, path: url.pathname, query: url.search, x: request.headers.get('x-test'), body: await request.text() });
        },
      };`,
    ),
    network.deploy(
      'lambda',
      `
      export const handler = async (event, context) => event.rawPath === undefined
        ? { bare: event, remaining: context.getRemainingTimeInMillis() > 0 }
        : { statusCode: 201, headers: { 'x-path': event.rawPath, 'content-type': 'text/plain' }, body: event.requestContext.http.method + ' ' + (event.body ?? '') };`,
    ),
  ]);
});
afterAll(() => network?.stop());

test('export default (input, ctx): JSON in, JSON out; a query is the input of a GET', async () => {
  const answer = await network.call('plain', { event: { a: [1, 'é'] } });
  expect(answer).toMatchObject({ status: 200, json: { input: { a: [1, 'é'] }, call: answer.headers.get('orb-call'), job: answer.job } });
  expect((await network.call('plain?a=1&b=two')).json).toMatchObject({ input: { a: '1', b: 'two' } });
});

test('export default { fetch }: any method, sub-path, query and header reach it', async () => {
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
    const body = method === 'GET' ? {} : { body: 'hello' };
    const answer = await network.call('web/orders/7%20a?full=1&full=2', { method, headers: { 'x-test': 'a b' }, ...body });
    expect(answer.json).toEqual({
      method,
      path: '/orders/7%20a',
      query: '?full=1&full=2',
      x: 'a b',
      body: method === 'GET' ? '' : 'hello',
    });
  }
  expect((await network.call('web')).json).toMatchObject({ path: '/' });
  const head = await network.call('web', { method: 'HEAD' });
  expect([head.status, head.text]).toEqual([200, '']);
});

test('the function’s own status and headers come back, and what belongs to the gateway cannot be forged', async () => {
  expect(await network.call('web/teapot')).toMatchObject({ status: 418, text: 'short and stout' });
  expect((await network.call('web/stream')).text).toBe('part 0;part 1;part 2;');
});

test('export const handler: API Gateway events over HTTP, bare events from orb call', async () => {
  const web = await network.call('lambda/sub/path', { method: 'PUT', body: 'text', headers: { 'content-type': 'text/plain' } });
  expect(web).toMatchObject({ status: 201, text: 'PUT text' });
  expect(web.headers.get('x-path')).toBe('/sub/path');
  const bare = await network.orb(['call', 'alice/lambda', '--data', '{"k":1}']);
  expect(JSON.parse(bare.stdout)).toEqual({ bare: { k: 1 }, remaining: true });
});

test('every byte comes back as it was sent, over HTTP and through the command', async () => {
  const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) % 256);
  const web = await network.call('web/bytes', { method: 'POST', body: bytes });
  expect(Buffer.from(web.bytes).equals(Buffer.from(bytes))).toBe(true);
  expect([web.headers.get('content-type'), web.headers.get('x-two')]).toEqual(['image/x-test', 'b']);
  const command = await network.orb(['call', 'alice/plain', '-'], { input: bytes });
  expect(command.bytes.equals(Buffer.from(bytes))).toBe(true);
});

test('any page may call: preflight, open origin, readable headers; a function’s own CORS headers win', async () => {
  const preflight = await network.call('web/x', {
    method: 'OPTIONS',
    headers: { origin: 'https://page.example', 'access-control-request-method': 'PUT', 'access-control-request-headers': 'x-test' },
  });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
  expect(preflight.headers.get('access-control-allow-methods')).toContain('PUT');
  expect(preflight.headers.get('access-control-allow-headers')).toBe('x-test');
  const answer = await network.call('web', { headers: { origin: 'https://page.example' } });
  expect(answer.headers.get('access-control-allow-origin')).toBe('*');
  expect(answer.headers.get('access-control-expose-headers')).toContain('orb-job');
  expect((await network.call('web/teapot')).headers.get('access-control-allow-origin')).toBe('https://tea.example');
});

test('all of it is paid and the books balance', async () => {
  await settled(network);
  expect((await checkBooks(network)).total).toBe(0n);
});
