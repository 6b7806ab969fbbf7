import { Hono } from 'hono';

/** Any web request. Paths are those below the function's own address. */
const app = new Hono();

app.get('/', (context) => context.text('Hello from Orb!'));

app.get('/greet/:name', (context) => {
  const name = context.req.param('name');
  console.log('greeting', name);
  return context.json({ message: `Hello, ${name}!` });
});

export default app;
