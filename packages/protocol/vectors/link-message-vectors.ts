import { callerTokenMac, receiptRow, sha256, signPresence, ticketRow, type Json } from '../src/index.ts';
import { keyOf, sampleIds, sampleReceipt, sampleTicket, sampleTime, vectorHash } from './sample.ts';

const ticket = ticketRow(sampleTicket(1));
const receipt = receiptRow(sampleReceipt(1));
const job = `${sampleIds.allowance}-1`;
const root = { batch: 1, count: 1, root: vectorHash('root'), signature: 'ab'.repeat(64) };
const headers = [['content-type', 'application/json']];

const cover = { request: vectorHash('request'), result: vectorHash('result'), bytesIn: 2, bytesOut: 17 };
const end = { prcUs: 310, setupUs: 0, runUs: 1_200, receipt: cover };
const callerLink = { chain: sampleIds.chain, superNode: keyOf('superNode').publicKey, caller: keyOf('other').publicKey };

/** One of each message over links, with every optional member; bodies and signatures stand for themselves. */
export const linkMessages = {
  offer: {
    v: 1,
    platform: 'linux',
    architecture: 'x64',
    runtimes: ['deno-2'],
    isolation: 'namespaces',
    cores: 2,
    memoryMiB: 1_024,
    rate: '1000',
    slots: 4,
    labels: { region: 'eu' },
    accepting: true,
    seeds: [sampleIds.version],
    replicas: 1,
    lastBatch: 1,
    secrets: [[sampleIds.function, 2]],
  },
  offerAnswer: { settledBatch: 1, timeMs: sampleTime },
  signedRoot: root,
  seedRequest: {
    name: 'alice/hello',
    account: sampleIds.developer,
    function: sampleIds.function,
    version: sampleIds.version,
    transaction: {},
    rotations: [],
  },
  seedAnswer: { seeding: false, reason: 'full', fetching: true },
  fetching: { version: sampleIds.version, receivedBytes: 1_048_576, totalBytes: 4_194_304 },
  secretsRequest: { function: sampleIds.function, rotations: [] },
  secretsAnswer: { number: 2 },
  drop: { function: sampleIds.function, version: sampleIds.version, transaction: {}, rotations: [] },
  runRequest: {
    ticket,
    method: 'POST',
    path: '/',
    headers,
    mode: 'event',
    caller: { account: sampleIds.developer, name: 'alice', function: 'alice/total' },
  },
  runAnswer: { status: 200, headers },
  runTrailer: { receipt, batch: 1, index: 0, error: 'no address', errorType: 'TypeError' },
  nestedCall: {
    job,
    owner: 'alice',
    name: 'hello',
    function: sampleIds.function,
    version: sampleIds.version,
    contentType: 'application/json',
    withinMs: 1_000,
  },
  unsettledRequest: { batch: 1 },
  unsettledAnswer: { root, rows: [[ticket, receipt]] },
  jobNotice: { job },
  logs: { jobs: [{ job, lines: [['info', 'hello']], dropped: 0 }] },
  signedPresence: signPresence(
    {
      v: 1,
      chain: sampleIds.chain,
      superNode: sampleIds.superNode,
      sequence: 1,
      expires: sampleTime,
      freeSlots: 3,
      running: 1,
      waiting: 0,
      answerMs: 2,
      seeds: sha256(new Uint8Array()),
    },
    keyOf('superNode'),
  ),
  presenceAnswer: { known: true },
  forwardRequest: {
    call: '0123456789abcdef0123456789abcdef',
    attempt: 1,
    owner: 'alice',
    name: 'hello',
    version: sampleIds.version,
    method: 'POST',
    path: '/',
    headers,
    mode: 'http',
    waitedUs: 10,
    streamed: true,
    signed: { target: '/fn/alice/hello', 'content-digest': 'x', 'signature-input': 'y', signature: 'z' },
    callers: [sampleIds.function],
  },
  forwardAnswer: { ended: 'answered', status: 200, headers, job: { ticket, node: sampleIds.node } },
  forwardFailure: { ended: 'failed', started: false, attempts: 1, error: { code: 'no-node-fits' } },
  forwardTrailer: { ticket, receipt, node: sampleIds.node, prcUs: 310, error: 'no address', errorType: 'TypeError' },
  received: { job, received: true },
  callerToken: { id: 'ORBAAAAAAAAAAAAAAAAA', mac: callerTokenMac('the token’s secret', callerLink) },
  callerRequest: {
    fn: 'alice/hello',
    mode: 'http',
    method: 'PUT',
    path: '/a?b=c',
    headers,
    bytes: 2,
    signed: { target: '/fn/alice/hello/a?b=c', 'content-digest': 'x', 'signature-input': 'y', signature: 'z' },
  },
  callerAnswer: { status: 200, headers, call: '0123456789abcdef0123456789abcdef', job, node: sampleIds.node, attempt: 1, end },
  callerAnswerEnd: end,
};

/** Messages over links, which two versions that stand side by side must both understand. */
export function linkMessageVectors(): Json {
  return {
    about: 'One of each message over links, with every optional member. A reader ignores members that it does not know.',
    messages: linkMessages as unknown as Json,
  };
}
