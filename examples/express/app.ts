/** An Express application as it stands: routers, middleware, parsed bodies, error handling. `server.ts` beside it puts it on Orb. */
import express, { type NextFunction, type Request, type Response } from 'express';

interface Note {
  readonly id: number;
  readonly text: string;
}

const notes = express.Router();
/** A function may be stopped between calls and runs in several places: real notes belong in a store. */
const seeded: readonly Note[] = [
  { id: 1, text: 'water the tea' },
  { id: 2, text: 'buy milk' },
];

notes.param('id', (request, response, next, id: string) => {
  const note = seeded.find((each) => each.id === Number(id));
  if (!note) return void response.status(404).json({ error: `no note ${id}` });
  response.locals['note'] = note;
  next();
});
notes.get('/', (request, response) => {
  const { text } = request.query;
  response.json(seeded.filter((note) => typeof text !== 'string' || note.text.includes(text)));
});
notes.get('/:id', (_request, response) => void response.json(response.locals['note']));
notes.post('/', (request, response) => {
  const { text } = (request.body ?? {}) as { text?: unknown };
  if (typeof text !== 'string') return void response.status(422).json({ error: 'text is needed' });
  response.status(201).location('/notes/3').json({ id: 3, text });
});

export const app = express();
app.disable('x-powered-by');
app.use((_request, response, next) => {
  response.setHeader('x-app', 'notes');
  next();
});
app.use(express.json({ limit: '1mb' }), express.urlencoded({ extended: true }), express.raw({ type: 'image/*' }), express.text());

app.get('/', (request, response) => void response.send(`Hello from ${request.hostname ? 'Express' : 'nowhere'}`));
app.use('/notes', notes);
app.post('/echo', (request, response) => void response.json({ type: typeof request.body, body: request.body as unknown }));
app.post('/image', (request, response) => void response.type('image/test').send(request.body as Buffer));
app.get('/cookies', (request, response) => {
  response
    .cookie('a', '1', { httpOnly: true })
    .cookie('b', '2')
    .json({ cookie: request.headers.cookie ?? null });
});
app.get('/lines', async (_request, response) => {
  response.type('text/plain');
  for (let i = 0; i < 5; i++) {
    response.write(`line ${i}\n`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  response.end();
});
app.get('/old', (_request, response) => response.redirect(301, '/notes'));
app.get('/broken', () => Promise.reject(new Error('out of paper')));

app.use((request, response) => void response.status(404).json({ error: `nothing at ${request.path}` }));
app.use((error: Error, _request: Request, response: Response, _next: NextFunction) => {
  response.status(500).json({ error: error.message });
});
