import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { makeCertificate } from '@orb/link/wss';
import { limits, parseManifest, sha256, type NetworkPolicy } from '@orb/protocol';
import type { WebRequest, WebResponse } from '@orb/sandbox';
import { LittleInternet, testAddress } from '../../test/little-internet.ts';
import type { SeededVersion } from '../seeding/seed-shelf.ts';
import { JobWeb } from './job-web.ts';
import { publicDialler } from './public-dialler.ts';
import { TokenBucket } from './token-bucket.ts';
import { Web } from './web.ts';

let internet: LittleInternet;
let web: Web;
let policy: NetworkPolicy | undefined;
beforeEach(async () => {
  internet = new LittleInternet();
  policy = 'public';
  web = new Web({ internet, policy: () => policy, nowMs: () => performance.now() });
  internet.names.set('api.example.org', [testAddress]);
  await internet.serve(80, {
    listener: (request, response) => {
      const { url = '/', method, headers } = request;
      if (url === '/slow') return;
      if (url === '/sink') return void request.resume();
      if (url.startsWith('/to/'))
        return void response.writeHead(Number(url.slice(4, 7)), { location: decodeURIComponent(url.slice(8)) }).end();
      if (url === '/large') return void response.end(Buffer.alloc(1_000_000, 'x'));
      if (url === '/broken') return void response.writeHead(200, { 'content-length': '10' }).write('half', () => response.destroy());
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        response.writeHead(200, { 'content-type': 'application/json', 'set-cookie': ['a=1', 'b=2'], 'x-own': 'yes' });
        response.end(JSON.stringify({ url, method, headers, body: Buffer.concat(pieces).toString() }));
      });
    },
  });
});
afterEach(async () => {
  await web.close();
  await internet.close();
});

function jobOf(...network: string[]) {
  const manifest = parseManifest({
    v: 1,
    kind: 'bundle',
    runtime: 'deno-2',
    code: { sha256: sha256('code'), bytes: 1 },
    priceCap: '0',
    network,
  });
  return web.open({ function: sha256('fn'), name: 'alice/fn', manifest } as SeededVersion)!;
}

const requestOf = (url: string, more: Partial<WebRequest> = {}): WebRequest => ({
  url,
  method: 'GET',
  headers: [],
  redirect: 'follow',
  signal: new AbortController().signal,
  ...more,
});

async function bytesOf({ body }: WebResponse): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of body) all.push(piece);
  return Buffer.concat(all);
}

/** What the test's server saw. */
async function seen(response: WebResponse) {
  return JSON.parse((await bytesOf(response)).toString()) as {
    url: string;
    method: string;
    headers: Record<string, string>;
    body: string;
  };
}

describe('a request of a function', () => {
  test('goes out with its method, headers and body, and comes back as it was', async () => {
    const job = jobOf('public');
    const response = await job.fetch(
      requestOf('http://api.example.org/teas?a=1', {
        method: 'POST',
        headers: [
          ['X-Own', 'a'],
          ['x-own', 'b'],
          ['content-type', 'text/plain'],
        ],
        body: Buffer.from('hello'),
      }),
    );
    expect(response).toMatchObject({ status: 200, statusText: 'OK', url: 'http://api.example.org/teas?a=1', redirected: false });
    expect(response.headers.filter(([name]) => name === 'set-cookie')).toEqual([
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ]);
    const request = await seen(response);
    expect(request).toMatchObject({ url: '/teas?a=1', method: 'POST', body: 'hello' });
    expect(request.headers).toMatchObject({ 'x-own': 'a, b', 'content-type': 'text/plain', 'content-length': '5' });
    expect(request.headers).toMatchObject({ host: 'api.example.org', 'user-agent': 'Orb (alice/fn)' });
    const { bytesOut, bytesIn } = job.usage!;
    expect(bytesOut).toBeGreaterThan(5 + 'http://api.example.org/teas?a=1'.length);
    expect(bytesIn).toBeGreaterThan(100);
  });

  test('cannot speak for another host, a proxy or a connection', async () => {
    const headers: [string, string][] = [
      ['host', 'internal.example.org'],
      ['connection', 'upgrade'],
      ['upgrade', 'websocket'],
      ['proxy-authorization', 'x'],
      ['transfer-encoding', 'chunked'],
      ['content-length', '9'],
      ['expect', '100-continue'],
    ];
    const request = await seen(await jobOf('public').fetch(requestOf('http://api.example.org/', { headers })));
    expect(request.headers['host']).toBe('api.example.org');
    for (const name of ['upgrade', 'proxy-authorization', 'transfer-encoding', 'content-length', 'expect'])
      expect(request.headers).not.toHaveProperty(name);
    await expect(jobOf('public').fetch(requestOf('http://api.example.org/', { headers: [['x', 'a\r\nb: c']] }))).rejects.toMatchObject({
      code: 'fetch-failed',
    });
  });

  test('is no word to a proxy: a frame may ask for what Request would refuse', async () => {
    for (const method of ['CONNECT', 'trace', 'TRACK'])
      await expect(jobOf('public').fetch(requestOf('http://api.example.org/', { method })), method).rejects.toMatchObject({
        code: 'invalid-request',
      });
    expect(internet.dialled).toEqual([]);
  });

  test('streams its body, with its length where that is known', async () => {
    async function* body() {
      yield Buffer.from('one ');
      yield Buffer.from('two');
    }
    const sent = (more: Partial<WebRequest>) => requestOf('http://api.example.org/', { method: 'POST', body: body(), ...more });
    const chunked = await seen(await jobOf('public').fetch(sent({})));
    expect([chunked.body, chunked.headers['transfer-encoding']]).toEqual(['one two', 'chunked']);
    const counted = await seen(await jobOf('public').fetch(sent({ length: 7 })));
    expect([counted.body, counted.headers['content-length']]).toEqual(['one two', '7']);
    await expect(jobOf('public').fetch(sent({ length: 3 }))).rejects.toMatchObject({ code: 'fetch-failed' });
  });

  test('over TLS shows the name and holds the certificate to it, though an address is dialled', async () => {
    const { certificate: cert, privateKey: key } = await makeCertificate({ names: ['api.example.org'] });
    const names: string[] = [];
    const tls = { key, cert, SNICallback: (name: string, done: (error: null) => void) => (names.push(name), done(null)) };
    await internet.serve(443, { tls, listener: (request, response) => void response.end(request.headers.host) });
    await expect(jobOf('public').fetch(requestOf('https://api.example.org/'))).rejects.toMatchObject({
      code: 'fetch-failed',
      message: expect.stringMatching(/its certificate is not valid \(DEPTH_ZERO_SELF_SIGNED_CERT\)/) as string,
    });
    const trusted = getCACertificates('default');
    setDefaultCACertificates([...trusted, cert]);
    try {
      expect((await bytesOf(await jobOf('public').fetch(requestOf('https://api.example.org/')))).toString()).toBe('api.example.org');
      internet.names.set('other.example.org', [testAddress]);
      await expect(jobOf('public').fetch(requestOf('https://other.example.org/'))).rejects.toMatchObject({
        message: expect.stringMatching(/certificate is not valid \(ERR_TLS_CERT_ALTNAME_INVALID\)/) as string,
      });
    } finally {
      setDefaultCACertificates(trusted);
    }
    expect(new Set(names)).toEqual(new Set(['api.example.org', 'other.example.org']));
  });

  test('ends with its job, and tells nothing of this computer when it fails', async () => {
    const controller = new AbortController();
    const pending = jobOf('public').fetch(requestOf('http://api.example.org/slow', { signal: controller.signal }));
    controller.abort();
    await expect(pending).rejects.toMatchObject({ code: 'cancelled' });
    const broken = await jobOf('public').fetch(requestOf('http://api.example.org/broken'));
    await expect(bytesOf(broken)).rejects.toMatchObject({
      code: 'fetch-failed',
      message: expect.not.stringContaining('127.0.0.1') as string,
    });
    await expect(jobOf('public').fetch(requestOf('http://nowhere.example.org/'))).rejects.toMatchObject({
      message: 'nowhere.example.org could not be asked: there is no such name.',
    });
  });
});

describe('what the manifest does not ask for, or the owner does not allow, is not reached', () => {
  const forbidden = { code: 'forbidden', message: expect.stringMatching(/may not reach/) as string };

  test('neither another host, port or scheme than is asked for', async () => {
    const job = jobOf('api.example.org:80');
    expect((await job.fetch(requestOf('http://API.example.org./'))).status).toBe(200);
    for (const url of [
      'http://other.example.org/',
      'http://api.example.org:8080/',
      'https://api.example.org/',
      'http://sub.api.example.org/',
    ])
      await expect(job.fetch(requestOf(url)), url).rejects.toMatchObject(forbidden);
    expect(internet.lookUps).toEqual(['api.example.org']);
  });

  test('the owner’s policy holds at each request, also when it changes', async () => {
    const job = jobOf('api.example.org:80');
    policy = ['api.example.org:80'];
    expect((await job.fetch(requestOf('http://api.example.org/'))).status).toBe(200);
    policy = ['other.example.org'];
    await expect(job.fetch(requestOf('http://api.example.org/'))).rejects.toMatchObject(forbidden);
    policy = undefined;
    await expect(job.fetch(requestOf('http://api.example.org/'))).rejects.toMatchObject(forbidden);
  });

  test('a manifest that asks for nothing has no way out at all', () => {
    expect(jobOf()).toBeUndefined();
  });

  test('an address that is none, or holds a password, or is of another scheme', async () => {
    for (const url of ['nonsense', 'ftp://api.example.org/', 'file:///etc/passwd', 'http://a:b@api.example.org/', 'http://'])
      await expect(jobOf('public').fetch(requestOf(url)), url).rejects.toMatchObject({ code: 'invalid-request' });
  });
});

describe('nothing but the public internet is dialled', () => {
  const refused = { code: 'forbidden', message: expect.stringMatching(/is not on the public internet/) as string };

  test.each([
    'http://127.0.0.1/',
    'http://localhost/',
    'http://[::1]/',
    'http://0/',
    'http://0x7f.1/',
    'http://2130706433/',
    'http://017700000001/',
    'http://10.0.0.1/',
    'http://192.168.1.1/',
    'http://169.254.169.254/latest/meta-data/',
    'http://[::ffff:127.0.0.1]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[fd00:ec2::254]/',
    'http://100.100.100.200/',
  ])('%s', async (url) => {
    internet.names.set('localhost', ['127.0.0.1', '::1']);
    await expect(jobOf('public').fetch(requestOf(url))).rejects.toMatchObject(refused);
    expect(internet.dialled).toEqual([]);
  });

  test('a name with one address that is not public, or of this computer’s own network', async () => {
    for (const addresses of [['10.1.2.3'], [testAddress, '127.0.0.1'], ['::ffff:10.0.0.1'], []]) {
      internet.names.set('rebind.example.org', addresses);
      await expect(jobOf('public').fetch(requestOf('http://rebind.example.org/')), String(addresses)).rejects.toMatchObject(refused);
    }
    internet.networks = ['93.184.216.1/24'];
    await expect(jobOf('public').fetch(requestOf('http://api.example.org/'))).rejects.toMatchObject(refused);
    expect(internet.dialled).toEqual([]);
  });

  test('a name is looked up once for a connection, and that very address dialled: it cannot change in between', async () => {
    const answers = [[testAddress], ['127.0.0.1']];
    internet.names.set('rebind.example.org', () => answers.shift() ?? ['127.0.0.1']);
    expect((await jobOf('public').fetch(requestOf('http://rebind.example.org/'))).status).toBe(200);
    expect(internet.dialled).toEqual([`${testAddress}:80`]);
    expect(internet.lookUps).toEqual(['rebind.example.org']);
  });

  test('also not by a redirect, at the second hop or the fifth', async () => {
    const job = jobOf('public');
    const to = (status: number, target: string) => `http://api.example.org/to/${status}/${encodeURIComponent(target)}`;
    for (const target of ['http://127.0.0.1/', 'http://169.254.169.254/', 'http://[::1]:80/'])
      await expect(job.fetch(requestOf(to(302, target)))).rejects.toMatchObject(refused);
    let url = 'http://10.0.0.1/';
    for (let i = 0; i < 4; i++) url = to(307, url);
    await expect(job.fetch(requestOf(url))).rejects.toMatchObject(refused);
    expect(new Set(internet.dialled)).toEqual(new Set([`${testAddress}:80`]));
  });
});

describe('redirects', () => {
  const to = (status: number, target: string) => `http://api.example.org/to/${status}/${encodeURIComponent(target)}`;

  test('are followed, and said', async () => {
    const response = await jobOf('public').fetch(requestOf(to(301, '/there')));
    expect(response).toMatchObject({ status: 200, url: 'http://api.example.org/there', redirected: true });
  });

  test('to another host need to be asked for as well, and take no credentials with them', async () => {
    internet.names.set('other.example.org', [testAddress]);
    const headers: [string, string][] = [
      ['authorization', 'Bearer x'],
      ['cookie', 'a=1'],
      ['x-kept', 'y'],
    ];
    const narrow = jobOf('api.example.org:80');
    await expect(narrow.fetch(requestOf(to(302, 'http://other.example.org/'), { headers }))).rejects.toMatchObject({ code: 'forbidden' });
    const elsewhere = await seen(await jobOf('public').fetch(requestOf(to(302, 'http://other.example.org/'), { headers })));
    expect(elsewhere.headers).not.toHaveProperty('authorization');
    expect(elsewhere.headers).not.toHaveProperty('cookie');
    expect(elsewhere.headers).toMatchObject({ 'x-kept': 'y', host: 'other.example.org' });
    const same = await seen(await jobOf('public').fetch(requestOf(to(302, '/'), { headers })));
    expect(same.headers).toMatchObject({ authorization: 'Bearer x', cookie: 'a=1' });
  });

  test('turn a POST into a GET or keep it, as the status says', async () => {
    const post = { method: 'POST', body: Buffer.from('tea'), headers: [['content-type', 'text/plain'] as [string, string]] };
    expect(await seen(await jobOf('public').fetch(requestOf(to(303, '/'), post)))).toMatchObject({ method: 'GET', body: '' });
    const kept = await seen(await jobOf('public').fetch(requestOf(to(308, '/'), post)));
    expect(kept).toMatchObject({ method: 'POST', body: 'tea' });
    async function* stream() {
      yield Buffer.from('tea');
    }
    await expect(jobOf('public').fetch(requestOf(to(308, '/'), { ...post, body: stream() }))).rejects.toMatchObject({
      code: 'fetch-failed',
      message: expect.stringMatching(/cannot be sent again/) as string,
    });
  });

  test('end somewhere, and can be left alone or refused', async () => {
    await internet.serve(8080, { listener: (_, response) => void response.writeHead(302, { location: '/' }).end() });
    await expect(jobOf('api.example.org:8080').fetch(requestOf('http://api.example.org:8080/'))).rejects.toMatchObject({
      message: expect.stringMatching(/more than 10 times/) as string,
    });
    const manual = await jobOf('public').fetch(requestOf(to(302, '/'), { redirect: 'manual' }));
    expect([manual.status, manual.headers.find(([name]) => name === 'location')?.[1]]).toEqual([302, '/']);
    await expect(jobOf('public').fetch(requestOf(to(302, '/'), { redirect: 'error' }))).rejects.toMatchObject({ code: 'fetch-failed' });
  });
});

describe('limits', () => {
  test('bytes are counted, those of a body that is broken off too', async () => {
    const job = jobOf('public');
    expect((await bytesOf(await job.fetch(requestOf('http://api.example.org/large')))).length).toBe(1_000_000);
    expect(job.usage!.bytesIn).toBeGreaterThan(1_000_000);
    expect(job.usage!.bytesIn).toBeLessThan(1_001_000);
    const before = job.usage!.bytesIn;
    for await (const _ of (await job.fetch(requestOf('http://api.example.org/large'))).body) break;
    expect(job.usage!.bytesIn).toBeGreaterThan(before);
  });

  test('one job sends no more than the limit', async () => {
    const dispatcher = publicDialler(internet);
    const free = new TokenBucket({ perSecond: Number.MAX_SAFE_INTEGER }, { nowMs: () => 0 });
    const options = { name: 'alice/fn', manifest: { network: ['public'] } };
    const job = new JobWeb(options, { web: { dispatcher, requests: free, bytes: free }, policy: () => 'public' });
    let pieces = 0;
    async function* endless() {
      for (; ; pieces++) yield Buffer.alloc(1_048_576);
    }
    await expect(job.fetch(requestOf('http://api.example.org/sink', { method: 'POST', body: endless() }))).rejects.toMatchObject({
      code: 'fetch-failed',
      message: expect.stringContaining(String(limits.fetchBytesPerJob)) as string,
    });
    expect(pieces).toBeLessThanOrEqual(limits.fetchBytesPerJob / 1_048_576);
    await dispatcher.destroy();
  });

  test('a server that hangs up on a function that still sends is an error of that request alone', async () => {
    await internet.serve(8081, { listener: (request) => request.destroy() });
    const job = jobOf('api.example.org:8081', 'api.example.org:80');
    async function* body() {
      for (let i = 0; i < 100; i++) yield Buffer.alloc(65_536);
    }
    const post = { method: 'POST', body: body() };
    await expect(job.fetch(requestOf('http://api.example.org:8081/', post))).rejects.toMatchObject({ code: 'fetch-failed' });
    expect((await job.fetch(requestOf('http://api.example.org/'))).status).toBe(200);
  });
});
