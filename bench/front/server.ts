import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import { reportReady } from '../child.ts';

// The limit of the HTTP front: Fastify alone takes the request and gives the same bytes back, under as many headers as an
// answer of Orb's has. What Orb does between the two is not here.
const id = 'f'.repeat(32);
const headers = Object.entries({
  'orb-call': id,
  'orb-job': `${id}${id}-123456`,
  'orb-node': `${id}${id}`,
  'orb-attempt': '1',
  'server-timing': 'prc;dur=0.400, setup;dur=0.000, run;dur=0.100, prv;dur=0.400, cmp;dur=0.100',
  'content-type': 'application/json',
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'orb-call, orb-job, orb-node, orb-attempt, server-timing',
}).flat();

const app = Fastify({ bodyLimit: 8 * 2 ** 20 });
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
app.post('/fn/:owner/:name', (request, reply) => {
  const body = request.body as Buffer;
  const { raw } = reply.hijack();
  raw.writeHead(200, [...headers, 'content-length', String(body.byteLength)]);
  raw.end(body);
});
await app.listen({ host: '127.0.0.1', port: 0 });
reportReady(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}/fn/bench/echo`);
