import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PDFDocument } from 'pdf-lib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkBooks, settled } from './books.ts';
import { Network } from './network.ts';

const example = (path: string) => fileURLToPath(new URL(`../../examples/${path}`, import.meta.url));
const json = (body: unknown) => ({ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

/** The compiler of WebAssembly's text, as the example's README calls it. */
const wat2wasm = fileURLToPath(new URL('../../node_modules/wabt/bin/wat2wasm', import.meta.url));

/** What each example is deployed from. */
const sources = {
  shop: 'hono/app.ts',
  notes: 'express/server.ts',
  invoice: 'npm-packages/invoice.ts',
  todos: 'lambda/todos.ts',
  contact: 'lambda/contact.ts',
  webhook: 'lambda/webhook.cjs',
  queue: 'lambda/queue.ts',
};

let network: Network;
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'] });
  for (const [name, source] of Object.entries(sources)) await network.ok('deploy', example(source), '--name', name, '--replicas', '1');
  for (const name of ['word-count', 'shout']) {
    const module = join(network.folder, `${name}.wasm`);
    expect(await network.run('wat2wasm', [wat2wasm, example(`wasm/${name}.wat`), '-o', module])).toMatchObject({ code: 0, stderr: '' });
    await network.ok('deploy', module, '--replicas', '1');
  }
}, 180_000);
afterAll(() => network?.stop());

describe('a Hono application', () => {
  test('routes with parameters, its own 404 and error answers', async () => {
    expect(await network.call('shop/teas/assam')).toMatchObject({ status: 200, json: { name: 'Assam', priceCents: 450 } });
    expect(await network.call('shop')).toMatchObject({ status: 200, text: 'A small tea shop' });
    expect(await network.call('shop/teas/none')).toMatchObject({ status: 404, text: 'No such tea' });
    expect(await network.call('shop/nowhere')).toMatchObject({ status: 404, json: { error: 'nothing at /nowhere' } });
    expect(await network.call('shop/broken')).toMatchObject({ status: 500, json: { error: 'broken' } });
  });

  test('middleware: validation, basic authentication, entity tags, its own CORS and headers', async () => {
    expect(await network.call('shop/api/orders', json({ tea: 'assam', grams: 50 }))).toMatchObject({
      status: 201,
      json: { totalCents: 225 },
    });
    expect(await network.call('shop/api/orders', json({ tea: 'coffee' }))).toMatchObject({ status: 422 });
    expect((await network.call('shop/admin/stock')).status).toBe(401);
    const authorization = `Basic ${btoa('tea:tea')}`;
    expect((await network.call('shop/admin/stock', { headers: { authorization } })).json).toEqual(['assam', 'sencha']);
    const tea = await network.call('shop/teas/sencha');
    const again = await network.call('shop/teas/sencha', { headers: { 'if-none-match': tea.headers.get('etag')! } });
    expect([again.status, again.text]).toEqual([304, '']);
    expect(tea.headers.get('x-content-type-options')).toBe('nosniff');
    const order = await network.call('shop/api/orders', { ...json({}), headers: { origin: 'https://shop.example' } });
    expect(order.headers.get('access-control-allow-origin')).toBe('https://shop.example');
  });

  test('cookies: signed ones come back, and belong to this function alone', async () => {
    const first = await network.call('shop/visit');
    expect(first.json).toEqual({ visits: 1, last: null });
    const set = first.headers.getSetCookie();
    expect(set).toHaveLength(2);
    for (const cookie of set) expect(cookie).toContain('Path=/fn/alice/shop');
    const cookie = set.map((each) => each.split(';')[0]).join('; ');
    expect((await network.call('shop/visit', { headers: { cookie } })).json).toEqual({ visits: 2, last: 'tea & cake' });
    expect((await network.call('shop/visit', { headers: { cookie: cookie.replace('visits=1', 'visits=9') } })).json).toMatchObject({
      visits: 1,
    });
  });

  test('a form with a file', async () => {
    const form = new FormData();
    form.set('name', 'Ada');
    form.set('leaf', new File([new Uint8Array([0, 255, 10])], 'leaf.bin', { type: 'application/x-leaf' }));
    const request = new Request('http://shop.invalid', { method: 'POST', body: form });
    const headers = { 'content-type': request.headers.get('content-type')! };
    const answer = await network.call('shop/form', { method: 'POST', headers, body: new Uint8Array(await request.arrayBuffer()) });
    expect(answer.json).toEqual({ name: 'Ada', file: 'leaf.bin', type: 'application/x-leaf', bytes: 3 });
  });

  test('streams and server-sent events arrive whole', async () => {
    expect((await network.call('shop/numbers/1000')).text.trim().split('\n')).toHaveLength(1000);
    const events = await network.call('shop/brewing');
    expect(events.headers.get('content-type')).toBe('text/event-stream');
    expect(events.text).toBe(['boil', 'steep', 'pour'].map((step) => `event: step\ndata: ${step}\n\n`).join(''));
  });
});

describe('an Express application', () => {
  test('routers, parameters, queries and status codes', async () => {
    expect(await network.call('notes/notes/1')).toMatchObject({ status: 200, json: { id: 1, text: 'water the tea' } });
    expect((await network.call('notes/notes?text=milk')).json).toEqual([{ id: 2, text: 'buy milk' }]);
    expect(await network.call('notes/notes/7')).toMatchObject({ status: 404, json: { error: 'no note 7' } });
    expect(await network.call('notes/nowhere')).toMatchObject({ status: 404, json: { error: 'nothing at /nowhere' } });
    expect((await network.call('notes')).headers.get('x-app')).toBe('notes');
  });

  test('parsed bodies: JSON, forms, text, and bytes as they were sent', async () => {
    const made = await network.call('notes/notes', json({ text: 'é' }));
    expect(made).toMatchObject({ status: 201, json: { id: 3, text: 'é' } });
    expect(made.headers.get('location')).toBe('/fn/alice/notes/notes/3');
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    expect((await network.call('notes/echo', { headers: form, body: 'a[b]=1&c=2' })).json).toEqual({
      type: 'object',
      body: { a: { b: '1' }, c: '2' },
    });
    expect((await network.call('notes/echo', { headers: { 'content-type': 'text/plain' }, body: 'hi' })).json).toEqual({
      type: 'string',
      body: 'hi',
    });
    expect((await network.call('notes/echo', { ...json({}), body: '{' })).status).toBe(500);
    const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 31) % 256);
    const image = await network.call('notes/image', { headers: { 'content-type': 'image/png' }, body: bytes });
    expect(Buffer.from(image.bytes).equals(bytes)).toBe(true);
  });

  test('cookies, redirects that stay with the function, written pieces, errors of its own', async () => {
    const cookies = await network.call('notes/cookies', { headers: { cookie: 'x=1; y=2' } });
    expect(cookies.json).toEqual({ cookie: 'x=1; y=2' });
    expect(cookies.headers.getSetCookie()).toEqual(['a=1; HttpOnly; Path=/fn/alice/notes', 'b=2; Path=/fn/alice/notes']);
    expect((await network.call('notes/old')).json).toHaveLength(2);
    expect((await network.call('notes/lines')).text).toBe('line 0\nline 1\nline 2\nline 3\nline 4\n');
    expect(await network.call('notes/broken')).toMatchObject({ status: 500, json: { error: 'out of paper' } });
  });
});

describe('WebAssembly', () => {
  test('a WASI command: standard input, arguments, standard output, exit code', async () => {
    const text = { method: 'POST', body: 'one two\nthree\n' };
    const counted = await network.call('word-count', text);
    expect([counted.status, counted.text, counted.headers.get('content-type')]).toEqual([200, '2 3 14\n', 'text/plain; charset=utf-8']);
    expect((await network.call('word-count?arg=-l', text)).json).toBe(2);
    expect(await network.call('word-count?arg=-x', text)).toMatchObject({
      status: 502,
      error: { code: 'function-failed', message: 'The program ended with exit code 2: unknown option' },
    });
  });

  test('a reactor: an exported function that takes and gives JSON, from the command too', async () => {
    expect(await network.call('shout', json({ tea: 'sencha' }))).toMatchObject({ status: 200, json: { TEA: 'SENCHA' } });
    const { stdout } = await network.orb(['call', 'alice/shout', '--data', '["a"]']);
    expect(JSON.parse(stdout)).toEqual(['A']);
  });
});

describe('AWS Lambda handlers', () => {
  test('Powertools’ router answers API Gateway events', async () => {
    expect((await network.call('todos/todos')).json).toEqual([{ id: '1', text: 'water the tea', done: false }]);
    expect(await network.call('todos/todos/2')).toMatchObject({ status: 404, json: { message: 'no todo 2' } });
  });

  test('Middy’s middleware runs, cookies go both ways', async () => {
    const answer = await network.call('contact', {
      ...json({ name: 'Ada' }),
      headers: { 'content-type': 'application/json', cookie: 'a=1; b=2' },
    });
    expect(answer).toMatchObject({ status: 201, json: { thanks: 'Ada', cookies: ['a=1', 'b=2'] } });
    expect(answer.headers.getSetCookie()).toEqual(['seen=yes; HttpOnly; Path=/fn/alice/contact', 'theme=dark; Path=/fn/alice/contact']);
    expect((await network.call('contact', { ...json({}), body: '{' })).status).toBe(422);
  });

  test('CommonJS with a callback; a body of bytes comes and goes as base64', async () => {
    const body = Uint8Array.from([0, 255, 1, 254]);
    const signature = createHmac('sha256', 'an example, not a secret').update(body).digest('hex');
    const headers = { 'content-type': 'application/octet-stream', 'x-signature': signature };
    const answer = await network.call('webhook', { method: 'POST', headers, body });
    expect([answer.status, answer.headers.get('content-type'), answer.bytes.length]).toEqual([200, 'image/gif', 42]);
    expect((await network.call('webhook', { method: 'POST', headers, body: 'other' })).status).toBe(401);
  });

  test('a bare event of a queue', async () => {
    const event = {
      Records: [
        { messageId: 'a', body: '{"id":1}' },
        { messageId: 'b', body: '{' },
      ],
    };
    expect((await network.call('queue', { event })).json).toEqual({ batchItemFailures: [{ itemIdentifier: 'b' }] });
    expect(await network.call('queue', { event: {} })).toMatchObject({
      status: 502,
      error: { message: 'This is not an event of a queue.' },
    });
  });
});

test('npm packages: zod, lodash, date-fns and jose work together, pdf-lib makes a PDF that can be read', async () => {
  const order = {
    customer: 'ada@example.com',
    date: '2026-01-31',
    items: [
      { name: 'tea', group: 'drinks', cents: 450, count: 2 },
      { name: 'cake', cents: 300, count: 1 },
    ],
  };
  const answer = await network.call('invoice', { event: order });
  expect(answer.json).toMatchObject({ totals: { drinks: 900, other: 300 }, due: '14 February 2026', subject: 'ada@example.com' });
  expect(await network.call('invoice', { event: {} })).toMatchObject({ status: 422, json: { errors: { customer: [expect.any(String)] } } });
  const pdf = await network.call('invoice', { event: { ...order, as: 'pdf' } });
  expect(pdf.headers.get('content-type')).toBe('application/pdf');
  const document = await PDFDocument.load(pdf.bytes);
  expect([document.getPageCount(), document.getTitle()]).toEqual([1, 'Invoice for ada@example.com']);
});

test('all of it is paid and the books balance', async () => {
  await settled(network);
  expect((await checkBooks(network)).total).toBe(0n);
});
