/** A Hono application as it stands: routing, middleware, cookies, validation, a stream. Deploy it with `orb deploy examples/hono/app.ts --name shop`. */
import { Hono } from 'hono';
import { basicAuth } from 'hono/basic-auth';
import { deleteCookie, getCookie, getSignedCookie, setCookie, setSignedCookie } from 'hono/cookie';
import { cors } from 'hono/cors';
import { etag } from 'hono/etag';
import { HTTPException } from 'hono/http-exception';
import { requestId } from 'hono/request-id';
import { secureHeaders } from 'hono/secure-headers';
import { stream, streamSSE } from 'hono/streaming';
import { timing } from 'hono/timing';
import { validator } from 'hono/validator';

const teas = new Map([
  ['assam', { name: 'Assam', priceCents: 450 }],
  ['sencha', { name: 'Sencha', priceCents: 620 }],
]);
/** Signs cookies. For an example only: until functions have secrets, do not guard anything real with a key in the code. */
const cookieKey = 'an example, not a secret';

const app = new Hono();

app.use(requestId(), secureHeaders(), timing());
app.use('/teas/*', etag());
app.use('/api/*', cors({ origin: 'https://shop.example', allowMethods: ['GET', 'POST'] }));
// Whoever names the shop twice gets in: for an example, so that no real credential stands in a public bundle.
app.use('/admin/*', basicAuth({ verifyUser: (username, password) => username === 'tea' && password === username }));
app.use(async (c, next) => {
  const before = Date.now();
  await next();
  c.header('x-handled-ms', String(Date.now() - before));
});

app.get('/', (c) => c.text('A small tea shop'));
app.get('/page', (c) => c.html('<!doctype html><title>Tea</title><h1>Tea</h1>'));

app.get('/teas/:id{[a-z]+}', (c) => {
  const tea = teas.get(c.req.param('id'));
  if (!tea) throw new HTTPException(404, { message: 'No such tea' });
  return c.json(tea);
});

app.post(
  '/api/orders',
  validator('json', (value: { tea?: unknown; grams?: unknown }, c) => {
    const { tea, grams } = value;
    if (typeof tea !== 'string' || !teas.has(tea) || typeof grams !== 'number' || !(grams > 0))
      return c.json({ error: 'tea and grams are needed' }, 422);
    return { tea, grams };
  }),
  (c) => {
    const { tea, grams } = c.req.valid('json');
    return c.json({ tea, grams, totalCents: Math.round((teas.get(tea)!.priceCents * grams) / 100) }, 201);
  },
);

app.post('/form', async (c) => {
  const form = await c.req.formData();
  const file = form.get('leaf') as File;
  return c.json({ name: form.get('name'), file: file.name, type: file.type, bytes: file.size });
});

app.get('/visit', async (c) => {
  const visits = Number((await getSignedCookie(c, cookieKey, 'visits')) || 0) + 1;
  await setSignedCookie(c, 'visits', String(visits), cookieKey, { httpOnly: true, sameSite: 'Lax', path: '/' });
  setCookie(c, 'last', 'tea & cake', { maxAge: 60 });
  return c.json({ visits, last: getCookie(c, 'last') ?? null });
});
app.get('/leave', (c) => {
  deleteCookie(c, 'last');
  return c.redirect('../');
});

app.get('/admin/stock', (c) => c.json([...teas.keys()]));

app.get('/numbers/:count', (c) =>
  stream(c, async (out) => {
    for (let i = 0; i < Number(c.req.param('count')); i++) {
      await out.writeln(String(i));
      if (i % 100 === 0) await out.sleep(1);
    }
  }),
);
app.get('/brewing', (c) =>
  streamSSE(c, async (out) => {
    for (const step of ['boil', 'steep', 'pour']) await out.writeSSE({ event: 'step', data: step });
  }),
);

app.notFound((c) => c.json({ error: `nothing at ${c.req.path}` }, 404));
app.onError((error, c) => {
  if (error instanceof HTTPException) return error.getResponse();
  return c.json({ error: 'broken' }, 500);
});
app.get('/broken', () => {
  throw new Error('a cup fell');
});

export default app;
