import { accountId, limits, sha256, signRequest, signTransaction, utf8, type ErrorBody } from '@orb/protocol';
import { testSigner } from '@orb/ledger/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { TestSuperNode } from '../testing/test-super-node.ts';

let superNode: TestSuperNode | undefined;
afterEach(async () => {
  await superNode?.stop();
  superNode = undefined;
});

async function start(config: Parameters<typeof TestSuperNode.start>[0] = {}): Promise<TestSuperNode> {
  superNode = await TestSuperNode.start(config);
  return superNode;
}

async function errorOf(answer: Response): Promise<ErrorBody & { status: number; retryAfter: string | null }> {
  const { error } = (await answer.json()) as { error: ErrorBody };
  return { ...error, status: answer.status, retryAfter: answer.headers.get('retry-after') };
}

const never = () => new Promise<never>(() => undefined);

describe('a call', () => {
  test('reaches a node, comes back with its job, and is paid', async () => {
    const net = await start();
    const node = await net.addNode('node', {
      run: (request, body) => ({
        status: 201,
        headers: [['content-type', 'text/plain']],
        body: `${request.method} ${request.path} ${body.byteLength}`,
      }),
    });
    const url = await net.deploy('hello');
    const answer = await fetch(`${url}/a/b?c=1`, { method: 'PUT', body: 'xyz' });
    expect(answer.status).toBe(201);
    expect(await answer.text()).toBe('PUT /a/b?c=1 3');
    expect(answer.headers.get('orb-node')).toBe(node.id);
    expect(answer.headers.get('server-timing')).toMatch(/^prc;dur=[\d.]+, setup;dur=0.000, run;dur=0.001, prv;dur=[\d.]+, cmp;dur=0.001$/);
    const job = answer.headers.get('orb-job')!;
    await expect.poll(async () => (await net.net.ledger.job(job))?.state).toBe('paid');
    const shown = (await (await fetch(`${net.url}/v1/jobs/${job}`)).json()) as {
      function: string;
      times: { rspUs: number; bilUs: number };
    };
    expect(shown.function).toBe('bob/hello');
    expect(shown.times.rspUs).toBeGreaterThan(0);
    expect(shown.times.bilUs).toBeGreaterThanOrEqual(0);
    await expect.poll(() => net.net.available(net.alice)).toBe(576n);
  });

  test('binary bodies come back byte for byte', async () => {
    const net = await start();
    await net.addNode('node');
    const url = await net.deploy('echo');
    const body = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7) % 256);
    const answer = await fetch(url, { method: 'POST', body });
    expect(new Uint8Array(await answer.arrayBuffer())).toEqual(body);
  });

  test('three hundred at once: every answer reaches its own caller', async () => {
    const net = await start();
    for (const name of ['one', 'two']) await net.addNode(name, { offer: { slots: 1_000 } });
    const url = await net.deploy('echo');
    const answers = await Promise.all(
      Array.from({ length: 300 }, async (_, i) => (await fetch(url, { method: 'POST', body: `call ${i}` })).text()),
    );
    expect(answers).toEqual(Array.from({ length: 300 }, (_, i) => `call ${i}`));
  });

  test('any page may call: preflight, and the answer’s own headers win', async () => {
    const net = await start();
    await net.addNode('node', {
      run: () => ({
        headers: [
          ['x-mine', 'yes'],
          ['orb-job', 'forged'],
          ['strict-transport-security', 'max-age=1'],
        ],
        body: 'x',
      }),
    });
    const url = await net.deploy('hello');
    const preflight = await fetch(url, {
      method: 'OPTIONS',
      headers: { origin: 'https://page.test', 'access-control-request-method': 'PUT', 'access-control-request-headers': 'x-a' },
    });
    expect([
      preflight.status,
      preflight.headers.get('access-control-allow-origin'),
      preflight.headers.get('access-control-allow-headers'),
    ]).toEqual([204, '*', 'x-a']);
    const { headers } = await fetch(url);
    expect(headers.get('access-control-allow-origin')).toBe('*');
    expect(headers.get('x-mine')).toBe('yes');
    expect(headers.get('orb-job')).not.toBe('forged');
    expect(headers.get('strict-transport-security')).toBeNull();
  });
});

describe('refusals', () => {
  test('unknown function: 404', async () => {
    const net = await start();
    expect(await errorOf(await fetch(`${net.url}/fn/bob/nothing`))).toMatchObject({ status: 404, code: 'unknown-function' });
  });

  test('no node: 503 with Retry-After, naming what is missing', async () => {
    const net = await start();
    const url = await net.deploy('hello');
    expect(await errorOf(await fetch(url))).toMatchObject({
      status: 503,
      code: 'no-node-fits',
      message: expect.stringContaining('replica'),
      retryAfter: '2',
    });
  });

  test('a node that costs too much is not chosen: 503 naming the price', async () => {
    const net = await start();
    await net.addNode('dear', { offer: { rate: '5000' } });
    const url = await net.deploy('hello');
    expect(await errorOf(await fetch(url))).toMatchObject({
      status: 503,
      message: expect.stringContaining('price: 5000 asked, at most 1000'),
    });
  });

  test('no allowance: 402, and the node hears nothing', async () => {
    const net = await start();
    const node = await net.addNode('node');
    const url = await net.deploy('hello', {}, { allowance: false });
    expect(await errorOf(await fetch(url))).toMatchObject({ status: 402, code: 'payment-required' });
    expect(node.jobs).toEqual([]);
  });

  test('an allowance for another super node, another function or one that is too small pays nothing here', async () => {
    const net = await start();
    await net.addNode('node');
    const url = await net.deploy('hello', {}, { allowance: false });
    await net.deploy('other', {}, { allowance: false });
    await net.openAllowance({ functions: [net.functionId('other')] });
    await net.openAllowance({ maxPerCall: '639999' });
    await net.net.openAllowance(net.bob, testSigner('other super'), { maxUnits: '1000' }).catch(() => undefined);
    expect((await fetch(url)).status).toBe(402);
    await net.openAllowance({ maxPerCall: '640000' });
    await fetch(`${net.url}/v1/functions/bob/hello`);
    expect((await fetch(url)).status).toBe(200);
  });

  test('too large an event: 413', async () => {
    const net = await start();
    await net.addNode('node');
    const url = await net.deploy('hello');
    const event = { method: 'POST', headers: { 'orb-mode': 'event' }, body: new Uint8Array(limits.bodyBytes + 1) };
    expect(await errorOf(await fetch(url, event))).toMatchObject({
      status: 413,
      code: 'too-large',
    });
  });

  test('a function’s throw is a 502 with its own message and nothing of ours, and is billed', async () => {
    const net = await start();
    await net.addNode('node', { run: () => ({ status: 502, outcome: 'function-failed', error: 'no such user', runUs: 1_500 }) });
    const url = await net.deploy('hello');
    const answer = await fetch(url);
    const job = answer.headers.get('orb-job')!;
    const error = await errorOf(answer);
    expect(error).toMatchObject({ status: 502, code: 'function-failed', message: 'no such user', faultOf: 'function' });
    expect(JSON.stringify(error)).not.toMatch(/\.ts|node_modules|at /);
    await expect.poll(async () => (await net.net.ledger.job(job))?.cost).toBe('1280');
  });

  test('a timeout is a 504', async () => {
    const net = await start();
    await net.addNode('node', { run: () => ({ status: 504, outcome: 'timed-out', error: 'hello ran longer than 1000 ms.' }) });
    expect(await errorOf(await fetch(await net.deploy('hello')))).toMatchObject({ status: 504, code: 'timed-out' });
  });

  test('a decommissioned function is gone: 410, and its seeders are told with the owner’s own signature', async () => {
    const net = await start();
    const node = await net.addNode('node');
    const url = await net.deploy('hello');
    const control = { function: net.functionId('hello'), sequence: 1, action: { type: 'decommission' as const } };
    await net.net.ledger.submit(signTransaction(net.running.chain, 'function.control', control, [testSigner('hello control')]));
    await expect.poll(async () => (await fetch(url)).status).toBe(410);
    await expect
      .poll(() => node.notices.some(([method, header]) => method === 'drop' && JSON.stringify(header).includes('decommission')))
      .toBe(true);
  });

  test('a private function answers its owner’s signature alone, once', async () => {
    const net = await start();
    await net.addNode('node');
    const url = await net.deploy('hello', { visibility: 'private' });
    expect((await fetch(url)).status).toBe(401);
    const signed = (name: string) => ({
      ...signRequest({ method: 'GET', url, body: new Uint8Array() }, net.running.chain, testSigner(name), Date.now()),
    });
    expect((await fetch(url, { headers: signed('mallory') })).status).toBe(403);
    const headers = signed('bob');
    expect((await fetch(url, { headers })).status).toBe(200);
    expect(await errorOf(await fetch(url, { headers }))).toMatchObject({ status: 401, message: expect.stringContaining('used already') });
  });

  test('too many calls from one address: 429 with Retry-After', async () => {
    const net = await start({ callsPerSecond: 1 });
    const url = await net.deploy('hello');
    const statuses = await Promise.all(Array.from({ length: 5 }, async () => (await fetch(url)).status));
    expect(statuses.filter((status) => status === 429).length).toBe(3);
  });
});

describe('a node that goes wrong', () => {
  test('lost before it started: the call runs elsewhere by itself', async () => {
    const net = await start({ placement: 'random' });
    const dying = await net.addNode('dies', {
      run: (request, _body, node) => {
        node.notify('setting-up', { job: `${request.ticket[0]}-${request.ticket[1]}` });
        setImmediate(() => void node.unlink());
        return never();
      },
    });
    await net.addNode('lives');
    const url = await net.deploy('hello');
    // Chance decides who is asked first: call until it was the one that dies.
    for (let calls = 0; calls < 50 && dying.jobs.length === 0; calls++) expect((await fetch(url)).status).toBe(200);
    expect(dying.jobs.length).toBe(1);
  });

  test('lost while it ran: a retryable error, and a second try only for what may run twice', async () => {
    for (const idempotent of [false, true]) {
      const net = await start();
      const dies = (_request: unknown, _body: unknown, node: { unlink(): Promise<void> }) => {
        setImmediate(() => void node.unlink());
        return never();
      };
      const first = await net.addNode('first', { run: dies });
      const second = await net.addNode('second', { run: dies });
      const url = await net.deploy('hello', { idempotent });
      expect(await errorOf(await fetch(url))).toMatchObject({
        status: 503,
        code: idempotent ? expect.stringMatching(/node-lost|no-node-fits/) : 'node-lost',
        retryable: true,
      });
      expect(first.jobs.length + second.jobs.length).toBe(idempotent ? 2 : 1);
      await net.stop();
      superNode = undefined;
    }
  });

  test('refused: another node is asked', async () => {
    const net = await start();
    await net.addNode('refuses', {
      run: () => {
        throw Object.assign(new Error('no'), {
          name: 'OrbError',
          code: 'node-refused',
          toJSON: () => ({ code: 'node-refused', message: 'busy' }),
        });
      },
    });
    await net.addNode('works');
    const url = await net.deploy('hello');
    for (let i = 0; i < 8; i++) expect((await fetch(url)).status).toBe(200);
  });

  const lies: [string, Parameters<TestSuperNode['addNode']>[1]][] = [
    ['asks for more than the ticket allows', { lie: (receipt) => ({ ...receipt, runUs: 1_001_000 }) }],
    ['bills more time than passed', { lie: (receipt) => ({ ...receipt, runUs: 900_000 }) }],
    ['covers another result', { lie: (receipt) => ({ ...receipt, resultHash: sha256('forged') }) }],
    ['covers another request', { lie: (receipt) => ({ ...receipt, requestHash: sha256('forged') }) }],
  ];
  for (const [name, script] of lies) {
    test(`a receipt that ${name} is no receipt: the caller gets an error, the node no money`, async () => {
      const net = await start();
      await net.addNode('liar', script);
      const url = await net.deploy('hello');
      expect(await errorOf(await fetch(url))).toMatchObject({ status: 503, code: 'node-lost' });
      expect(await net.net.available(net.alice)).toBe(0n);
    });
  }

  test('a caller that leaves while the reply is being sent pays for the work, and leaves no gap in the allowance', async () => {
    const net = await start();
    await net.addNode('node', { run: () => ({ body: new Uint8Array(limits.bodyBytes) }) });
    const url = await net.deploy('large');
    for (let i = 0; i < 3; i++) {
      const abort = new AbortController();
      const { headers } = await fetch(url, { signal: abort.signal });
      abort.abort();
      const state = async () => (await net.net.ledger.job(headers.get('orb-job')!))?.state;
      await expect.poll(state, { timeout: 5_000 }).toBe('paid');
    }
  });

  test('a caller that hangs up stops the work', async () => {
    const net = await start();
    const node = await net.addNode('node', { run: never });
    const url = await net.deploy('hello');
    const abort = new AbortController();
    const call = fetch(url, { signal: abort.signal }).catch((error: unknown) => error);
    await expect.poll(() => node.jobs.length).toBe(1);
    abort.abort();
    await call;
    await expect
      .poll(async () => ((await (await fetch(`${net.url}/v1/status`)).json()) as { totals: { running: number } }).totals.running)
      .toBe(0);
  });
});

describe('links', () => {
  test('a key that is not on the ledger is refused', async () => {
    const net = await start();
    await expect(net.stranger('stranger').link(net.running.linkAddress)).rejects.toMatchObject({
      code: 'link-refused',
      message: expect.stringContaining('not registered'),
    });
  });

  test('a node fetches no code that it was not asked to seed', async () => {
    const net = await start();
    const node = await net.addNode('node');
    await net.deploy('hello');
    await expect(node.fetchCode(sha256(utf8('// hello')))).rejects.toMatchObject({ code: 'forbidden' });
  });
});

describe('seeding', () => {
  test('asks the nearest nodes until enough are ready, passes over those that refuse, and tells each step', async () => {
    const net = await start();
    for (const name of ['a', 'b']) await net.addNode(name);
    await net.addNode('c', { refuseSeeding: 'not mine' });
    net.nodes.length = 0;
    const url = `${net.url}/v1/functions/bob/hello/seed`;
    await net.deploy('hello', { replicas: 2 });
    const body = new Uint8Array();
    const headers = { ...signRequest({ method: 'POST', url, body }, net.running.chain, net.bob, Date.now()) };
    const lines = (await (await fetch(url, { method: 'POST', headers })).text())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string });
    expect(lines.at(-1)).toEqual({ type: 'done', ready: 2, wanted: 2 });
    expect(lines.filter(({ type }) => type === 'ready').length).toBe(2);
  });

  describe('of an image', () => {
    const image = { kind: 'image', runtime: 'container', handler: 'job', concurrency: 1, replicas: 1 } as const;
    const seed = async (net: TestSuperNode, options: object) => {
      const code = utf8('// hello');
      await net.deploy('hello', { ...image, image: `registry.example/hello@sha256:${sha256(code)}` });
      const url = `${net.url}/v1/functions/bob/hello/seed`;
      const body = utf8(JSON.stringify(options));
      const headers = signRequest({ method: 'POST', url, body }, net.running.chain, net.bob, Date.now());
      const answer = await fetch(url, { method: 'POST', headers: { ...headers }, body });
      return (await answer.text())
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { type: string; receivedBytes?: number });
    };
    const slowNode = async (net: TestSuperNode) => {
      let asks = 0;
      await net.addNode('slow', {
        offer: { runtimes: ['container'] },
        seed: async (tell) => {
          tell(asks * 1_000, 2_000);
          // The next frames wait until this one is read.
          await new Promise((resolve) => setImmediate(resolve));
          return ++asks < 3 ? { seeding: false, reason: 'still fetching', fetching: true } : { seeding: true };
        },
      });
      net.nodes.length = 0;
    };

    test('a node that goes on fetching is waited for, and how far it is told to who can read it', async () => {
      const net = await start();
      await slowNode(net);
      const steps = await seed(net, { progress: true });
      expect(steps.map(({ type, receivedBytes }) => receivedBytes ?? type)).toEqual(['asked', 0, 1_000, 2_000, 'ready', 'done']);
    });

    test('a client of before is told nothing that it cannot read', async () => {
      const net = await start();
      await slowNode(net);
      expect((await seed(net, {})).map(({ type }) => type)).toEqual(['asked', 'ready', 'done']);
    });
  });

  test('only the owner may ask', async () => {
    const net = await start();
    await net.deploy('hello');
    const url = `${net.url}/v1/functions/bob/hello/seed`;
    expect((await fetch(url, { method: 'POST' })).status).toBe(401);
    const headers = { ...signRequest({ method: 'POST', url, body: new Uint8Array() }, net.running.chain, net.alice, Date.now()) };
    expect((await fetch(url, { method: 'POST', headers })).status).toBe(403);
  });
});

describe('the API', () => {
  test('the faucet grants to accounts only, a limited number of times', async () => {
    const net = await start({ faucetPerMinute: 3 });
    const ask = (account: string) => fetch(`${net.url}/v1/faucet`, { method: 'POST', body: JSON.stringify({ account }) });
    expect((await ask(sha256('nobody'))).status).toBe(404);
    expect((await ask(accountId(net.alice.publicKey))).status).toBe(200);
    expect(await net.net.available(net.alice)).toBe(5_000n);
    expect((await ask(accountId(net.alice.publicKey))).status).toBe(403);
    expect(await net.net.available(net.alice)).toBe(5_000n);
    expect((await ask(accountId(net.alice.publicKey))).status).toBe(429);
  });

  test('code must be signed for by a developer and match its hash', async () => {
    const net = await start();
    const body = utf8('export default () => 1');
    const url = `${net.url}/v1/code/${sha256(body)}`;
    expect((await fetch(url, { method: 'PUT', body })).status).toBe(401);
    const put = (bytes: Uint8Array<ArrayBuffer>) => {
      const headers = { ...signRequest({ method: 'PUT', url, body: bytes }, net.running.chain, net.bob, Date.now()), 'orb-account': 'bob' };
      return fetch(url, { method: 'PUT', body: bytes, headers });
    };
    expect(await errorOf(await put(utf8('something else') as Uint8Array<ArrayBuffer>))).toMatchObject({ code: 'code-mismatch' });
    expect((await put(body as Uint8Array<ArrayBuffer>)).status).toBe(201);
    expect((await put(body as Uint8Array<ArrayBuffer>)).status).toBe(200);
  });

  test('pages of any origin may read it, refusals too, and none may send a user’s credentials along', async () => {
    const net = await start();
    const asked = await fetch(`${net.url}/v1/tokens`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://page.test',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'signature, orb-account',
      },
    });
    expect([asked.status, asked.headers.get('access-control-allow-headers')]).toEqual([204, 'signature, orb-account']);
    expect(asked.headers.get('access-control-allow-methods')).toContain('DELETE');
    for (const path of ['/v1/network', '/v1/jobs/nonsense', '/v1/nothing', '/fn/bob/nothing']) {
      const { headers } = await fetch(`${net.url}${path}`);
      expect(headers.get('access-control-allow-origin'), path).toBe('*');
      expect(headers.get('access-control-allow-credentials'), path).toBeNull();
      expect(headers.get('access-control-expose-headers'), path).toContain('orb-receipt, orb-error, retry-after');
    }
    const elsewhere = await fetch(`${net.url}/2015-03-31/functions/x/invocations`, { method: 'POST' });
    expect(elsewhere.headers.get('access-control-allow-origin')).toBeNull();
  });

  test('bad input gets a clear error', async () => {
    const net = await start();
    expect((await fetch(`${net.url}/nothing`)).status).toBe(404);
    expect(await errorOf(await fetch(`${net.url}/v1/ledger/transactions`, { method: 'POST', body: '{' }))).toMatchObject({
      status: 400,
      message: 'The body is not JSON.',
    });
    expect(await errorOf(await fetch(`${net.url}/v1/ledger/state?prefix=a&limit=5000`))).toMatchObject({
      status: 400,
      message: expect.stringContaining('1 to 1000'),
    });
    expect((await fetch(`${net.url}/v1/jobs/nonsense`)).status).toBe(404);
  });
});
