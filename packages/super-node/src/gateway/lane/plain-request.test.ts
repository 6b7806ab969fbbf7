import { createServer, type IncomingMessage } from 'node:http';
import { duplexPair } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { plainBounds, PlainReader, readPlainRequest } from './plain-request.ts';

const plain = 'POST /fn/bob/echo/a?b=%20c HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello';

const read = (text: string) => readPlainRequest(Buffer.from(text, 'latin1'));

test('a plain call is read whole, and the next one is left alone', () => {
  const request = read(`${plain}GET /fn/bob/other HTTP/1.1\r\n`);
  expect(request).toMatchObject({
    method: 'POST',
    url: '/fn/bob/echo/a?b=%20c',
    owner: 'bob',
    name: 'echo',
    headers: ['host', 'x', 'content-type', 'text/plain', 'content-length', '5'],
    isEvent: false,
    end: plain.length,
  });
  expect(Buffer.from((request as { body: Uint8Array }).body).toString()).toBe('hello');
});

test('a call that has not come whole is waited for, byte by byte', () => {
  for (let length = 1; length < plain.length; length++) expect(read(plain.slice(0, length)), `${length} bytes`).toBe('part');
  expect(read(plain)).toMatchObject({ method: 'POST' });
});

test('what a connection sends is read the same whether or not its head has come before', () => {
  const again = new PlainReader();
  const other = plain.replace('?b=', '?c=');
  const parts = [
    plain,
    plain.replace('hello', 'world'),
    plain.slice(0, -1),
    plain.slice(0, 40),
    other,
    plain.replace('5', '4'),
    plain,
    `${plain}x`,
  ];
  for (const text of [...parts, ...parts.toReversed(), 'nothing', plain]) {
    const bytes = Buffer.from(text, 'latin1');
    expect(again.read(bytes), text).toEqual(readPlainRequest(bytes));
  }
});

describe('a whole HTTP server must look at', () => {
  const head = (...lines: string[]) => `${['GET /fn/bob/echo HTTP/1.1', ...lines].join('\r\n')}\r\n\r\n`;
  test.each([
    ['another address', 'GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['another method', 'OPTIONS /fn/bob/echo HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['another version', 'GET /fn/bob/echo HTTP/1.0\r\nHost: x\r\n\r\n'],
    ['a path that must be decoded', 'GET /fn/bob/echo/%41 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['an absolute address', 'GET http://x/fn/bob/echo HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a fragment', 'GET /fn/bob/echo#a HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['no host', head('Accept: a')],
    ['no header at all', 'GET /fn/bob/echo HTTP/1.1\r\n\r\n'],
    ['two hosts', head('Host: x', 'Host: y')],
    ['two lengths', head('Host: x', 'Content-Length: 0', 'Content-Length: 0')],
    ['a signed length', head('Host: x', 'Content-Length: +1')],
    ['a list of lengths', head('Host: x', 'Content-Length: 1, 1')],
    ['chunks', head('Host: x', 'Transfer-Encoding: chunked')],
    ['a length and chunks', head('Host: x', 'Content-Length: 5', 'Transfer-Encoding: chunked')],
    ['a space before the colon', head('Host: x', 'Content-Length : 5')],
    ['no colon', head('Host: x', 'abc')],
    ['no name', head('Host: x', ': abc')],
    ['a folded line', head('Host: x', ' y')],
    ['a bare line feed', head('Host: x\nContent-Length: 5')],
    ['a bare carriage return', head('Host: x\rContent-Length: 5')],
    ['a control character', head('Host: x', 'a: b\u0000c')],
    ['a byte beyond ASCII', head('Host: x', 'a: b\u00a0')],
    ['a wish to close', head('Host: x', 'Connection: close')],
    ['an upgrade', head('Host: x', 'Connection: Upgrade', 'Upgrade: websocket')],
    ['an expectation', head('Host: x', 'Expect: 100-continue')],
    ['a signature', head('Host: x', 'Signature-Input: a')],
    ['a long body', head('Host: x', `Content-Length: ${plainBounds.bodyBytes + 1}`)],
    ['a long head', head('Host: x', `a: ${'b'.repeat(plainBounds.headBytes)}`)],
    ['a head without end', `GET /fn/bob/echo HTTP/1.1\r\na: ${'b'.repeat(plainBounds.headBytes)}`],
    ['TLS', '\u0016\u0003\u0001'],
  ])('%s', (_, text) => {
    expect(read(text)).toBe('unusual');
  });
});

/** What Node's own server makes of some bytes: the requests in them, and whether it found fault. */
async function readByNode(text: string): Promise<{ requests: object[]; broken: boolean }> {
  const requests: object[] = [];
  let broken = false;
  const server = createServer((request: IncomingMessage, response) => {
    const { method, url, rawHeaders, httpVersion } = request;
    const headers = rawHeaders.map((part, i) => (i % 2 === 0 ? part.toLowerCase() : part));
    let body = '';
    request.setEncoding('latin1').on('data', (piece: string) => (body += piece));
    request.on('end', () => {
      requests.push({ method, url, httpVersion, headers, body });
      response.end();
    });
  });
  server.on('clientError', (_, socket) => {
    broken = true;
    socket.destroy();
  });
  const [near, far] = duplexPair();
  const over = new Promise((resolve) => near.once('close', resolve).once('end', resolve).once('data', resolve));
  near.on('error', () => undefined);
  server.emit('connection', far);
  near.write(text, 'latin1');
  await over;
  far.destroy();
  return { requests, broken };
}

test('whatever is read as a plain call, Node’s own parser reads the same, whichever bytes are changed', async () => {
  const parts = [
    '\r\n',
    '\n',
    '\r',
    ' ',
    '\t',
    ':',
    '0',
    '5',
    '\u0000',
    '\u00a0',
    '%',
    '#',
    ',',
    'Content-Length: 2\r\n',
    'a: b\r\n',
    'HTTP/1.1',
  ];
  let seed = 7;
  const below = (most: number) => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % most;
  let same = 0;
  for (let i = 0; i < 2_000; i++) {
    const at = below(plain.length);
    const changed = plain.slice(0, at) + parts[below(parts.length)]! + plain.slice(at + below(3));
    const request = read(changed);
    if (typeof request === 'string') continue;
    same++;
    const { method, url, headers, body, end } = request;
    const { requests } = await readByNode(changed.slice(0, end));
    expect(requests, JSON.stringify(changed)).toEqual([
      { method, url, httpVersion: '1.1', headers, body: Buffer.from(body).toString('latin1') },
    ]);
  }
  expect(same).toBeGreaterThan(200);
});
