// A server: listens on $PORT, and is kept warm between calls.
import { createServer } from 'node:http';

let visits = 0;

createServer((request, response) => {
  visits += 1;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ path: request.url, job: request.headers['x-orb-job'], visits }));
}).listen(Number(process.env.PORT));
