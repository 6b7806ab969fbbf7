import { createServer } from 'node:http';

// Kept warm, and called by many at once. Nothing can be written but /tmp, and there is no network.
createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  // Asked before the first call, and while there are calls.
  if (pathname === '/healthz') return void response.end('well');
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.end(`Hello, ${searchParams.get('name') ?? 'world'}!\n`);
}).listen(Number(process.env.PORT));
