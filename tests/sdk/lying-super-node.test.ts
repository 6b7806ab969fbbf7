import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Link, LinkAnswer, LinkBodySource, LinkListener, OutgoingAnswer } from '@orb/link';
import { WssTransport } from '@orb/link/wss';
import { concatBytes, resultHash, sha256, utf8, type CallerAnswer, type JobEnd, type OrbError } from '@orb/protocol';
import { testSigner } from '@orb/ledger/testing';
import { Orb } from '@orb/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TestSuperNodes } from '../../packages/super-node/src/testing/test-super-nodes.ts';

/** What a liar does with an honest super node's answer. */
interface Lie {
  /** To the request's body before it passes on. */
  request?(body: Uint8Array): Uint8Array;
  /** To the answer's. */
  result?(body: Uint8Array): Uint8Array;
  status?(status: number): number;
  end?(end: JobEnd): JobEnd;
}

let net: TestSuperNodes;
let lie: Lie;
const stops: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  lie = {};
  net = await TestSuperNodes.start(['a'], {}, { real: true });
  await net.addNode('node', 'a', {
    run: (_request, body) => ({ headers: [['content-type', 'text/plain']], body }),
    offer: { labels: { streams: 'no' } },
  });
  await net.addNode('streams', 'a', {
    async *stream(_request, body) {
      for await (const piece of body) yield piece;
    },
    offer: { labels: { streams: 'yes' } },
  });
  await net.deploy('echo', { labels: { streams: 'no' } });
  await net.deploy('stream', { labels: { streams: 'yes' } });
});

afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
  await net.stop();
});

const flip = (body: Uint8Array) => body.map((byte, at) => (at === 0 ? byte ^ 1 : byte));
const zeros = '0'.repeat(64);
const forgedResult = (end: JobEnd): JobEnd => ({ ...end, receipt: { ...end.receipt, result: zeros } });
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'ok',
    (error: OrbError) => error.code,
  );

/** A gateway in front of the honest one, which tells its callers of the liar's link. */
async function lyingGateway(linkTo?: { readonly address: string; readonly key: string }): Promise<string> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const isCall = request.url!.startsWith('/fn/');
    const given = await read(request);
    const sent = (isCall && lie.request?.(given)) || given;
    const headers = Object.fromEntries(
      Object.entries(request.headers as Record<string, string>).filter(([name]) => !ofConnection.has(name)),
    );
    const honest = await fetch(`${net.url('a')}${request.url}`, {
      method: request.method!,
      headers,
      ...(request.method !== 'GET' && { body: sent as Uint8Array<ArrayBuffer> }),
    });
    const body = new Uint8Array(await honest.arrayBuffer());
    const passed = [...honest.headers].filter(([name]) => !ofConnection.has(name)).flat();
    if (request.url === '/v1/network') return void response.end(changeNetwork(body, linkTo));
    if (request.url!.endsWith('/end')) return void response.end(changeEnd(body));
    response.writeHead((isCall && lie.status?.(honest.status)) || honest.status, passed).end((isCall && lie.result?.(body)) || body);
  };
  const server: Server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stops.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const ofConnection: ReadonlySet<string> = new Set(['content-length', 'host', 'connection', 'transfer-encoding', 'keep-alive', 'expect']);

function changeEnd(body: Uint8Array): string {
  const end = JSON.parse(Buffer.from(body).toString()) as JobEnd;
  return JSON.stringify(lie.end ? lie.end(end) : end);
}

async function read(request: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return concatBytes(await Array.fromAsync(request));
}

function changeNetwork(body: Uint8Array, linkTo: object | undefined): string {
  const network = JSON.parse(Buffer.from(body).toString()) as { superNode: object };
  return JSON.stringify({ ...network, superNode: { ...network.superNode, ...linkTo } });
}

/** A super node that passes calls on to the honest one, and lies about them. @returns a client that calls it */
async function overLink(): Promise<Orb> {
  const signer = testSigner('liar');
  const { running, signer: honest } = net.peer('a');
  const transport = new WssTransport();
  const onward: Link = await transport.dial(running.linkAddress, {
    identity: { chain: running.chain, role: 'client', signer: testSigner('nobody') },
    handler: { call: () => Promise.reject(new Error('no')), notice: () => undefined },
    peerKey: honest.publicKey,
  });
  const listener: LinkListener = await transport.listen({
    identity: { chain: running.chain, role: 'super-node', signer },
    authorize: () => undefined,
    onLink: () => undefined,
    handler: {
      call: async ({ header, body }) => {
        const given = await body.bytes(1e7);
        const streamed = (header as { bytes: number | null }).bytes === null;
        const sent = lie.request?.(given) ?? given;
        const source: LinkBodySource = streamed
          ? (async function* () {
              yield sent;
            })()
          : sent;
        return passOn(await onward.call('call', header, source));
      },
      notice: () => undefined,
    },
  });
  const url = await lyingGateway({ address: listener.address, key: signer.publicKey });
  const orb = new Orb({ url, transport: 'link' });
  stops.push(
    () => listener.close(),
    () => onward.close(),
    () => orb.close(),
  );
  return orb;
}

async function passOn(answer: LinkAnswer): Promise<OutgoingAnswer> {
  const head = answer.header as CallerAnswer;
  const body = await answer.body.bytes(1e7);
  const trailer = (await answer.trailer) as JobEnd | undefined;
  return {
    header: {
      ...head,
      status: lie.status?.(head.status) ?? head.status,
      ...(head.end && { end: lie.end?.(head.end) ?? head.end }),
    },
    body: lie.result?.(body) ?? body,
    ...(trailer && { trailer: lie.end?.(trailer) ?? trailer }),
  };
}

async function overHttp(): Promise<Orb> {
  return new Orb({ url: await lyingGateway() });
}

async function* inPieces(text: string): AsyncGenerator<Uint8Array> {
  for (const letter of text) yield utf8(letter);
}

describe.each([
  ['over HTTP', overHttp],
  ['over a link', overLink],
])('a super node that lies %s', (_, client) => {
  test('is believed as long as it tells the truth', async () => {
    const orb = await client();
    expect((await orb.call('bob/echo', utf8('true'))).output).toBe('true');
    const { response, info } = await orb.fetch('bob/stream', { method: 'POST', body: inPieces('true') });
    expect(await response.text()).toBe('true');
    expect(info.receipt?.checked).toEqual({ request: true, result: true });
  });

  test.each<[string, Lie]>([
    ['gives another result than the receipt’s', { result: flip }],
    ['gives a part of the result', { result: (body) => body.subarray(0, 2) }],
    ['gives another status', { status: () => 201 }],
    ['sent another request on', { request: flip }],
  ])('is found out when it %s', async (__, wrong) => {
    const orb = await client();
    lie = wrong;
    expect(await codeOf(orb.call('bob/echo', utf8('true')))).toBe('wrong-receipt');
  });

  test.each<[string, Lie]>([
    ['gives another result', { result: flip }],
    ['gives a part of the result', { result: (body) => body.subarray(0, 2) }],
    ['shows another receipt at its end', { end: forgedResult }],
    ['sent another request on', { request: flip }],
  ])('is found out at the end of a stream when it %s', async (__, wrong) => {
    const orb = await client();
    lie = wrong;
    const { body } = await orb.stream('bob/stream', utf8('true'));
    expect(await codeOf(Array.fromAsync(body))).toBe('wrong-receipt');
    const { response } = await orb.fetch('bob/stream', { method: 'POST', body: inPieces('true') });
    expect(await codeOf(response.text())).toBe('wrong-receipt');
  });
});

test('a liar who makes up the receipt as well is found out on the ledger', async () => {
  const orb = await overLink();
  lie = {
    result: flip,
    end: (end) => ({ ...end, receipt: { ...end.receipt, result: resultHash(200, sha256(flip(utf8('true')))) } }),
  };
  const { output, info } = await orb.call('bob/echo', utf8('true'));
  expect(output).not.toBe('true');
  expect(info.receipt?.checked).toEqual({ request: true, result: true });
  await expect(orb.proveCall(info)).rejects.toMatchObject({ code: 'wrong-receipt' });
  lie = {};
  const honest = await orb.call('bob/echo', utf8('true'));
  expect((await orb.proveCall(honest.info)).checked.row.receipt).toBeDefined();
});
