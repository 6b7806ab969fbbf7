import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSigner, sha256 } from '@orb/protocol';
import { Network } from '../e2e/network.ts';
import { until } from '../e2e/until.ts';
import { Chromium, noChromium } from './chromium.ts';
import type { inPage as InPage } from './page.ts';

/** Stands in every page; functions that run there are written here and sent as text. */
declare const sdk: typeof InPage;

const reason = noChromium();

describe.skipIf(reason !== undefined)(`the SDK in a real Chromium${reason ? ` (${reason})` : ''}`, () => {
  let network: Network;
  let browser: Chromium;
  let pages: Server;
  let gateway: string;

  beforeAll(async () => {
    network = await Network.start({ nodes: ['ant'] });
    gateway = network.gateway;
    await network.deploy('echo', 'export default (input) => input;');
    await network.deploy('throws', 'export default () => { throw new RangeError("out of range"); };');
    await network.deploy('stream', streamSource);
    await network.deploy('hidden', 'export default () => 1;', ['--private']);
    pages = await servePage();
    browser = await Chromium.start();
    // Another origin than the gateway's, as a page of somebody else is.
    await browser.open(`http://127.0.0.1:${(pages.address() as AddressInfo).port}/`);
  }, 240_000);

  afterAll(async () => {
    await browser?.stop();
    pages?.closeAllConnections();
    pages?.close();
    await network?.stop();
  });

  /** Runs a function in the page. It sees its arguments and `sdk`, and nothing of this file. */
  const inPage = <A extends readonly unknown[], T>(work: (...args: A) => Promise<T>, ...args: A): Promise<T> =>
    browser.evaluate<T>(`(${String(work)})(...${JSON.stringify(args)})`);

  test('calls a function, and checks its receipt', async () => {
    const answer = await inPage(async (url) => {
      const { output, info } = await new sdk.Orb({ url }).call('alice/echo', { hello: 'wörld' });
      return { output, checked: info.receipt?.checked, job: info.job, run: info.times.run };
    }, gateway);
    expect(answer).toMatchObject({ output: { hello: 'wörld' }, checked: { request: true, result: true } });
    expect(answer.job).toMatch(/^[0-9a-f]{32}-\d+$/);
    expect(answer.run).toBeGreaterThan(0);
  });

  test('sees what went wrong as errors with their codes', async () => {
    const codes = await inPage(async (url) => {
      const orb = new sdk.Orb({ url });
      const told = (work: Promise<unknown>) => work.then(String, ({ code, message, faultOf }) => ({ code, message, faultOf }));
      return [
        await told(orb.call('alice/throws')),
        await told(orb.call('alice/nothing')),
        await told(new sdk.Orb({ url: 'http://127.0.0.1:1' }).network()),
      ];
    }, gateway);
    expect(codes).toMatchObject([
      { code: 'function-failed', message: 'out of range', faultOf: 'function' },
      { code: 'unknown-function' },
      { code: 'link-closed' },
    ]);
  });

  test('reads an answer while it is made, and checks its receipt at the end', async () => {
    const seen = await inPage(async (url) => {
      const orb = new sdk.Orb({ url });
      const { response, info } = await orb.fetch('alice/stream/made');
      const reader = response.body!.getReader();
      const first = new TextDecoder().decode((await reader.read()).value);
      const early = info.receipt;
      // The function goes on only now.
      await orb.fetch('alice/stream/go');
      let rest = '';
      for (let next = await reader.read(); !next.done; next = await reader.read()) rest += new TextDecoder().decode(next.value);
      return { first, early, rest, checked: info.receipt?.checked, run: info.times.run };
    }, gateway);
    expect(seen).toMatchObject({ first: 'first', rest: 'last', checked: { request: true, result: true } });
    expect(seen.early).toBeUndefined();
    expect(seen.run).toBeGreaterThan(0);
  });

  test('cancels by leaving a stream, and by an AbortSignal', async () => {
    const ended = await inPage(async (url) => {
      const orb = new sdk.Orb({ url });
      for await (const _ of sdk.streamBody((await orb.fetch('alice/stream/endless')).response)) break;
      const abort = new AbortController();
      const { response } = await orb.fetch('alice/stream/endless', { signal: abort.signal });
      const reading = Array.fromAsync(sdk.streamBody(response)).then(
        () => 'ended',
        ({ code }) => code as string,
      );
      abort.abort();
      const waiting = orb.call('alice/stream', 1, { signal: AbortSignal.abort() }).then(
        () => 'called',
        ({ code }) => code as string,
      );
      return [await reading, await waiting];
    }, gateway);
    expect(ended).toEqual(['cancelled', 'cancelled']);
    await until('the streams to end at their node', async () => (await network.linkedNodes()).every(({ active }) => active === 0));
  });

  test('finds a super node out that changes an answer on its way', async () => {
    const liar = createServer((request, response) => {
      void fetch(`${gateway}${request.url}`, {
        method: 'POST',
        headers: { 'orb-mode': 'event', 'content-type': 'application/json' },
        body: '1',
      }).then((honest) => {
        const headers = ['access-control-allow-origin', '*', 'access-control-expose-headers', '*', 'access-control-allow-headers', '*'];
        const passed = ['orb-call', 'orb-job', 'orb-receipt', 'content-type'].flatMap((name) => [name, honest.headers.get(name)!]);
        response.writeHead(200, [...headers, ...passed]).end('2');
      });
    });
    await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(liar.address() as AddressInfo).port}`;
      const code = await inPage((at) => new sdk.Orb({ url: at }).call('alice/echo', 1).then(String, (error) => error.code as string), url);
      expect(code).toBe('wrong-receipt');
    } finally {
      liar.closeAllConnections();
      liar.close();
    }
  });

  test('proves a job by the ledger: header with its state root, the orderer’s signature, and those of peers', async () => {
    await network.ok('account', 'create', 'ann', '--role', 'peer');
    const peer = network.spawn('peer ann', [
      'ledger',
      'peer',
      'start',
      '--folder',
      join(network.folder, 'ann'),
      '--account',
      'ann',
      '--chain',
      network.links.chain,
      '--json',
    ]);
    const { key } = (await peer.ready()) as { key: string };
    await network.ok('ledger', 'vote', '--peers', 'ann', '--treasury', network.superNodeFolder);
    const proven = await inPage(
      async (url, peerKey) => {
        const orb = new sdk.Orb({ url });
        const { info } = await orb.call('alice/echo', 'prove me');
        const { file, checked } = await orb.proveCall(info);
        for (;;) {
          const again = sdk.checkJobProof((await orb.jobProof(info.job!)).file, checked.chain);
          const finality = sdk.finalityOf(again.header, again.cosignatures, [peerKey]);
          if (finality.final) {
            const forged = { ...file, proof: { ...file.proof, header: { ...file.proof.header, state: '0'.repeat(64) } } };
            const refusal = await Promise.resolve()
              .then(() => sdk.checkJobProof(forged))
              .then(String, (error) => error.code as string);
            return { finality, refusal, state: again.header.state, result: again.row.receipt![7], height: again.header.height };
          }
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      },
      gateway,
      key,
    );
    const { header } = (await network.orbClient.ledger.block(proven.height))!;
    expect(proven).toMatchObject({ finality: { final: true, signed: 1, of: 1 }, refusal: 'bad-signature', state: header.state });
    expect(proven.result).toMatch(/^[0-9a-f]{64}$/);
  });

  test('signs as an account: makes one, is funded, makes a token, and is known to who asks for a signature', async () => {
    const seed = sha256(`browser ${Date.now()}`);
    const name = await inPage(
      async (url, secret) => {
        const signer = sdk.createSigner(secret);
        const orb = new sdk.Orb({ url, account: { signer } });
        const { id } = await orb.accounts.create('page', signer, ['developer']);
        await orb.accounts.fund(id);
        const [token, listed] = [
          await orb.tokens.create(orb.owner, { functions: '*', expiresMs: Date.now() + 120_000 }),
          await orb.tokens.list(orb.owner),
        ];
        await orb.tokens.revoke(orb.owner, token.accessKeyId);
        const codes = [orb, new sdk.Orb({ url })].map((one) => one.call('alice/hidden').then(String, (error) => error.code as string));
        return [(await orb.accounts.show('page')).name, token.accessKeyId === listed[0]!.accessKeyId, ...(await Promise.all(codes))];
      },
      gateway,
      seed,
    );
    expect(name).toEqual(['page', true, 'forbidden', 'unauthenticated']);
    expect((await network.orbClient.accounts.show('page')).keys).toEqual([createSigner(seed).publicKey]);
  });

  test('says plainly that it makes no links', async () => {
    const told = await inPage(
      (url) => new sdk.Orb({ url, transport: 'link' }).call('alice/echo', 1).then(String, ({ code, hint }) => ({ code, hint })),
      gateway,
    );
    expect(told).toEqual({ code: 'not-supported', hint: "Leave transport out, or say transport: 'http'." });
  });
});

/** Goes on when it is told so by another request, which reaches the same instance. */
const streamSource = `
let go;
const told = new Promise((resolve) => (go = resolve));
const text = new TextEncoder();
export default {
  fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/go') return go(), new Response('gone on');
    if (pathname === '/made')
      return new Response(new ReadableStream({
        async start(controller) {
          controller.enqueue(text.encode('first'));
          await told;
          controller.enqueue(text.encode('last'));
          controller.close();
        },
      }));
    return new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65536)) }));
  },
};
`;

/** The bundle and a page around it, on an origin of its own. */
async function servePage(): Promise<Server> {
  const { outputFiles, warnings } = await build({
    entryPoints: [join(import.meta.dirname, 'page.ts')],
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    conditions: ['browser'],
    logLevel: 'silent',
  });
  expect(warnings).toEqual([]);
  const server = createServer(({ url }, response) => {
    if (url === '/page.js') return void response.writeHead(200, { 'content-type': 'text/javascript' }).end(outputFiles[0]!.text);
    return void response
      .writeHead(200, { 'content-type': 'text/html' })
      .end('<!doctype html><meta charset="utf-8"><script src="/page.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
