import { promisify } from 'node:util';
import { brotliCompress, constants, gzip, zstdCompress } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { limits } from '@orb/protocol';
import { MemoryWatch } from './memory-watch.ts';
import { Network } from './network.ts';

/** What a bomb unfolds to. */
const bytes = 512 * 1_048_576;
/** What a body, its copies on the way and V8's own needs may add to a super node or node; a bomb would be far above. */
const mostGrowthMiB = 64;
const functions = {
  takes:
    'export default { fetch: async (request) => Response.json({ encoding: request.headers.get("content-encoding"), bytes: (await request.arrayBuffer()).byteLength }) }',
  unfolds: `import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
    const by = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync };
    export default { fetch: async (request) => new Response(String(by[request.headers.get('content-encoding')](new Uint8Array(await request.arrayBuffer())).length)) }`,
  form: 'export default { fetch: async (request) => Response.json({ parts: [...(await request.formData()).keys()].length }) }',
  event: 'export default (input) => { let depth = 0; for (let at = input; Array.isArray(at); at = at[0]) depth++; return { depth } }',
};

let network: Network;
const bombs: Record<string, Buffer> = {};
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'] });
  await Promise.all([
    ...Object.entries(functions).map(([name, source]) =>
      network.deploy(name, source, ['--memory', '128', '--timeout', '20s', '--budget', '5']),
    ),
    network.deploy('good', 'export default (n) => n + 1', ['--memory', '128', '--budget', '5']),
  ]);
  const zeros = Buffer.alloc(bytes);
  bombs['gzip'] = await promisify(gzip)(zeros, { level: 6 });
  bombs['br'] = await promisify(brotliCompress)(zeros, { params: { [constants.BROTLI_PARAM_QUALITY]: 3 } });
  bombs['zstd'] = await promisify(zstdCompress)(zeros);
});
afterAll(() => network?.stop());

/** Makes a call while another function answers, and looks at what super node and node need for it. */
async function callWatched(...args: Parameters<Network['call']>) {
  const watch = new MemoryWatch(network);
  try {
    const calling = network.call(...args);
    expect((await network.call('good', { event: 1 })).json).toBe(2);
    const answer = await calling;
    expect((await network.call('good', { event: 41 })).json).toBe(42);
    return { answer, grown: watch.ownGrowthMiB };
  } finally {
    watch.stop();
  }
}

describe('a body that unfolds to half a gigabyte', () => {
  test.each(['gzip', 'br', 'zstd'])('by %s comes to the function as it was sent; super node and node never unfold it', async (encoding) => {
    const body = bombs[encoding]!;
    expect(body.length).toBeLessThan(bytes / 500);
    const { answer, grown } = await callWatched('takes', { headers: { 'content-encoding': encoding }, body });
    expect(answer).toMatchObject({ status: 200, json: { encoding, bytes: body.length } });
    expect(grown).toBeLessThan(mostGrowthMiB);
  });

  test.each(['gzip', 'br', 'zstd'])(
    'by %s is the memory of the function that unfolds it: 502, and the caller is told',
    async (encoding) => {
      const { answer, grown } = await callWatched('unfolds', { headers: { 'content-encoding': encoding }, body: bombs[encoding]! });
      expect(answer).toMatchObject({
        status: 502,
        error: { code: 'out-of-memory', faultOf: 'function', message: expect.stringMatching(/MiB|memory|allocation/) },
      });
      expect(grown).toBeLessThan(mostGrowthMiB);
    },
  );

  test('is no event: a JSON function is told that a body comes as it was sent', async () => {
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    const { answer } = await callWatched('event', { headers, body: bombs['gzip']! });
    expect(answer).toMatchObject({
      status: 502,
      error: { code: 'function-failed', message: expect.stringMatching(/not JSON.*compressed \(content-encoding: gzip\)/) },
    });
  });

  test('is no JSON for the API either', async () => {
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    for (const path of ['/v1/ledger/transactions', '/v1/faucet', '/v1/tokens']) {
      const response = await fetch(network.gateway + path, { method: 'POST', headers, body: new Uint8Array(bombs['gzip']!) });
      expect(response.status).toBeGreaterThanOrEqual(400);
      expect(response.status).toBeLessThan(500);
      expect(await response.json()).toMatchObject({ error: { code: expect.any(String), message: expect.stringMatching(/\w/) } });
    }
  });
});

describe('a form', () => {
  const form = (part: string, count: number) => ({
    headers: { 'content-type': 'multipart/form-data; boundary=b' },
    body: `${part.repeat(count)}--b--\r\n`,
  });
  const part = '--b\r\ncontent-disposition: form-data; name="a"\r\n\r\n\r\n';

  test('of a hundred thousand parts is the function’s own time and memory', async () => {
    const { answer, grown } = await callWatched('form', form(part, Math.floor((limits.bodyBytes - 100) / part.length)));
    if (answer.status === 200) expect((answer.json as { parts: number }).parts).toBeGreaterThan(50_000);
    else expect(answer.error.code).toMatch(/^(out-of-memory|timed-out|function-failed)$/);
    expect(grown).toBeLessThan(mostGrowthMiB);
  });

  test.each([
    ['whose parts never end', `--b\r\ncontent-disposition: form-data; name="a"\r\n\r\n${'x'.repeat(1_000_000)}`],
    ['whose headers never end', `--b\r\n${'x-y: z\r\n'.repeat(100_000)}`],
    ['without any boundary', 'x'.repeat(1_000_000)],
  ])('%s has no parts, or is an error of the function, in words', async (_name, body) => {
    const { answer, grown } = await callWatched('form', { ...form('', 0), body });
    if (answer.status === 200) expect((answer.json as { parts: number }).parts).toBeLessThan(2);
    else expect(answer).toMatchObject({ status: 502, error: { code: 'function-failed', message: expect.stringMatching(/\w{3}/) } });
    expect(grown).toBeLessThan(mostGrowthMiB);
  });
});

describe('JSON nested by the million', () => {
  test.each([
    ['arrays', '['.repeat(3_000_000) + ']'.repeat(3_000_000)],
    ['objects', `${'{"a":'.repeat(1_000_000)}1${'}'.repeat(1_000_000)}`],
    ['arrays that never end', '['.repeat(6_000_000)],
  ])('as %s is the function’s own time and memory', async (_name, body) => {
    const { answer, grown } = await callWatched('event', { headers: { 'content-type': 'application/json' }, body });
    if (answer.status === 200) expect(answer.json).toEqual({ depth: expect.any(Number) });
    else
      expect(answer).toMatchObject({
        status: 502,
        error: { code: expect.stringMatching(/^(out-of-memory|function-failed)$/), message: expect.stringMatching(/\w{3}/) },
      });
    expect(grown).toBeLessThan(mostGrowthMiB);
  });

  test.each(['/v1/ledger/transactions', '/v1/faucet', '/v1/tokens', '/v1/ledger/cosignatures', '/v1/ledger/refusals'])(
    'is refused by %s, and the super node answers on',
    async (path) => {
      for (const [open, middle, close] of [
        ['[', '', ']'],
        ['{"a":', '1', '}'],
        ['{"type":"x","body":', '1', '}'],
      ] as const)
        for (const depth of [10_000, 40_000]) {
          const response = await fetch(network.gateway + path, { method: 'POST', body: open.repeat(depth) + middle + close.repeat(depth) });
          expect(response.status, await response.clone().text()).toBeLessThan(500);
          expect(response.status).toBeGreaterThanOrEqual(400);
          expect(await response.json()).toMatchObject({ error: { message: expect.stringMatching(/\w/) } });
        }
      expect((await network.call('good', { event: 1 })).json).toBe(2);
    },
  );
});
