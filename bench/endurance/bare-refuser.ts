import { createServer, type AddressInfo } from 'node:net';
import { reportReady } from '../child.ts';

// The floor of a refusal: a server that answers whatever it reads from a socket with bytes that are ready, as many as a
// refusal of Orb's has. It looks at nothing.
const body = JSON.stringify({ error: { code: 'overloaded', message: 'x'.repeat(180) } });
const head = [
  'HTTP/1.1 503 Service Unavailable',
  'access-control-allow-origin: *',
  'access-control-expose-headers: orb-call, orb-job, orb-node, orb-attempt, orb-receipt, orb-error, retry-after, server-timing',
  'orb-error: overloaded',
  'content-type: application/json',
  `content-length: ${body.length}`,
  'retry-after: 1',
  'date: Thu, 01 Jan 1970 00:00:00 GMT',
];
const refusal = Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);

const server = createServer((socket) => {
  socket.on('error', () => undefined);
  socket.on('data', () => socket.write(refusal));
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 }, () => {
  reportReady(`http://127.0.0.1:${(server.address() as AddressInfo).port}/fn/bench/echo`);
});
