/*
 * Calls a second through a hub: client → hub → provider → hub → client, 200-byte JSON, TLS, one process each, beside a
 * bare `ws` echo over TLS through no hub at all. Run by hand: node packages/link/bench/relay.ts [seconds] [--profile]
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createSigner, randomBytes, toHex, utf8 } from '@orb/protocol';
import { WebSocket, WebSocketServer } from 'ws';
import type { Link, LinkHandler, LinkIdentity } from '../src/port.ts';
import { makeCertificate } from '../src/wss/certificate.ts';
import { WssTransport } from '../src/wss/wss-transport.ts';

const chain = '0'.repeat(64);
const payload = utf8(JSON.stringify({ text: 'x'.repeat(200 - 11) }));
const noCalls: LinkHandler = { call: () => Promise.reject(new Error('nobody calls here')), notice: () => undefined };

function newIdentity(role: LinkIdentity['role']): LinkIdentity {
  return { chain, role, signer: createSigner(toHex(randomBytes(32))) };
}

interface HubAddress {
  readonly address: string;
  readonly key: string;
}

async function runHub(): Promise<void> {
  const identity = newIdentity('super-node');
  let provider: Link | undefined;
  const listener = await new WssTransport().listen({
    identity,
    authorize: () => undefined,
    onLink: (link) => {
      if (link.peer.role === 'node') provider = link;
    },
    handler: {
      async call(call) {
        const answer = await provider!.call('run', call.header, call.body.complete ?? call.body);
        return { header: answer.header, body: answer.body.complete ?? answer.body, trailer: answer.completeTrailer };
      },
      notice: () => undefined,
    },
  });
  const before = process.cpuUsage();
  process.on('message', () => process.send!({ cpuUs: process.cpuUsage(before).user + process.cpuUsage(before).system }));
  process.send!({ address: listener.address, key: identity.signer.publicKey } satisfies HubAddress);
}

async function runProvider({ address, key }: HubAddress): Promise<void> {
  const handler: LinkHandler = {
    call: (call) => Promise.resolve({ header: { status: 200 }, body: call.body.complete ?? call.body, trailer: { run: 1 } }),
    notice: () => undefined,
  };
  await new WssTransport().dial(address, { identity: newIdentity('node'), handler, peerKey: key });
  process.send!('ready');
}

async function runEcho(): Promise<void> {
  const { certificate, privateKey } = await makeCertificate();
  const server = createServer({ cert: certificate, key: privateKey, minVersion: 'TLSv1.3' }).listen(0, '127.0.0.1');
  new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
  await once(server, 'listening');
  process.send!(`wss://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

interface Figures {
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Keeps `inFlight` calls going for `seconds`, after a fifth of that as warm-up. */
async function measure(inFlight: number, seconds: number, call: () => Promise<unknown>): Promise<Figures> {
  const samples: number[] = [];
  const startMs = performance.now() + seconds * 200;
  const endMs = startMs + seconds * 1_000;
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      for (let now = performance.now(); now < endMs;) {
        await call();
        const after = performance.now();
        if (now >= startMs) samples.push(after - now);
        now = after;
      }
    }),
  );
  samples.sort((a, b) => a - b);
  const at = (share: number) => samples[Math.floor(samples.length * share)] ?? Number.NaN;
  return { callsPerSecond: Math.round(samples.length / seconds), p50Ms: at(0.5), p99Ms: at(0.99) };
}

function start(role: string, given?: HubAddress): ChildProcess {
  return fork(import.meta.filename, [role, JSON.stringify(given ?? null)], {
    execArgv: process.argv.includes('--profile') ? ['--cpu-prof', `--cpu-prof-name=link-${role}.cpuprofile`] : [],
  });
}

async function echoCalls(address: string): Promise<() => Promise<unknown>> {
  const socket = new WebSocket(address, { rejectUnauthorized: false, perMessageDeflate: false });
  await once(socket, 'open');
  const waiting: (() => void)[] = [];
  socket.on('message', () => waiting.shift()!());
  return () =>
    new Promise<void>((resolve) => {
      waiting.push(resolve);
      socket.send(payload);
    });
}

async function hubCpuUs(hub: ChildProcess): Promise<number> {
  hub.send('cpu');
  const [{ cpuUs }] = (await once(hub, 'message')) as [{ cpuUs: number }];
  return cpuUs;
}

async function runClient(): Promise<void> {
  const seconds = Number(process.argv[2] ?? 3);
  const children: ChildProcess[] = [];
  try {
    const hub = start('hub');
    children.push(hub);
    const [address] = (await once(hub, 'message')) as [HubAddress];
    const provider = start('provider', address);
    children.push(provider);
    await once(provider, 'message');
    const echo = start('echo');
    children.push(echo);
    const [echoAddress] = (await once(echo, 'message')) as [string];
    const link = await new WssTransport().dial(address.address, {
      identity: newIdentity('client'),
      handler: noCalls,
      peerKey: address.key,
    });
    const relayed = async () => {
      const answer = await link.call('run', { path: '/' }, payload);
      const body = answer.body.complete ?? (await answer.body.bytes(payload.length));
      if (body.length !== payload.length) throw new Error('not the answer');
    };
    const echoed = await echoCalls(echoAddress);
    for (const inFlight of [1, 64]) {
      const before = await hubCpuUs(hub);
      const figures = await measure(inFlight, seconds, relayed);
      const hubUs = (await hubCpuUs(hub)) - before;
      show(
        `link through a hub, ${inFlight} in flight`,
        figures,
        `hub ${(hubUs / (figures.callsPerSecond * seconds * 1.2)).toFixed(1)} µs a call`,
      );
      show(`bare ws echo, no hub, ${inFlight} in flight`, await measure(inFlight, seconds, echoed), '');
    }
    await link.close();
  } finally {
    for (const child of children) child.kill();
  }
  process.exit(0);
}

function show(what: string, { callsPerSecond, p50Ms, p99Ms }: Figures, more: string): void {
  console.log(
    `${what.padEnd(38)} ${String(callsPerSecond).padStart(7)} calls/s  p50 ${p50Ms.toFixed(3)} ms  p99 ${p99Ms.toFixed(3)} ms  ${more}`,
  );
}

const role = process.argv[2];
// A profile is written when the process ends by itself.
process.on('SIGTERM', () => process.exit(0));
if (role === 'hub') await runHub();
else if (role === 'provider') await runProvider(JSON.parse(process.argv[3]!) as HubAddress);
else if (role === 'echo') await runEcho();
else await runClient();
