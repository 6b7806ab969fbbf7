// Runs inside a helper container that shares nothing with a function's container but an empty network: takes frames from
// the host on standard input, asks the server on 127.0.0.1, sends its answers back as frames. So the host neither opens
// a socket that the function made, nor reads HTTP that the function wrote.
import { writeSync } from 'node:fs';
import { createOutput } from '../../harness/output.js';
import { Job } from '../../harness/job.js';
import { Upload } from '../../harness/upload.js';
import { callHead, FrameReader, maxFrameFromHost, readU32, toFunction, toHost, writeU32 } from '../../harness/wire.js';
import { Forwarder, waitForServer } from './forward.js';
import { Health } from './health.js';

/** Said on standard error when the server has gone and its container has not; and before what is wrong with one that is not well. */
const goneWords = 'nothing listens';
const unwellWords = 'unwell: ';

const output = createOutput(write);
/** @type {Map<number, Job>} */
const jobs = new Map();
const shared = { frame: output.frame, jobs, format: String };
/** @type {Forwarder | undefined} */
let forwarder;
/** @type {Health | undefined} */
let health;
const reader = new FrameReader(maxFrameFromHost, onFrame);

output.frame(toHost.ready, 0, undefined, undefined);
process.stdin.on('data', (bytes) => reader.push(bytes));
// The host has gone: this is the first process of its namespace, so the function's processes go with it.
process.stdin.on('end', () => process.exit(0));

/** @param {number} type @param {number} id @param {Uint8Array} payload a view that is only valid during the call */
function onFrame(type, id, payload) {
  if (type === toFunction.call) return startJob(id, payload);
  if (type === toFunction.load) return void load(split(payload).body);
  if (type === toFunction.ping) return output.frame(toHost.pong, 0, undefined, undefined);
  const job = jobs.get(id);
  if (!job) return;
  if (type === toFunction.credit) job.addCredit(readU32(payload, 0));
  else if (type === toFunction.body) job.upload?.push(payload);
  else if (type === toFunction.bodyEnd) job.upload?.end();
  else if (type === toFunction.abort) job.abort(payload[0] === 1);
}

/** The code of an image is where its server listens. @param {Uint8Array} code */
async function load(code) {
  const { port, health: check, withinMs } = JSON.parse(Buffer.from(code).toString());
  await waitForServer(port);
  if (check) {
    health = new Health(port, check, (words) => {
      writeSync(2, unwellWords + words);
      process.exit(4);
    });
    const words = await health.begin(withinMs);
    if (words !== undefined) return output.frame(toHost.loadFailed, 0, undefined, `The server listens, and is not well: ${words}.`);
  }
  forwarder = new Forwarder(port, () => {
    writeSync(2, goneWords);
    process.exit(3);
  });
  output.frame(toHost.loaded, 0, undefined, undefined);
}

/** @param {number} id @param {Uint8Array} payload */
function startJob(id, payload) {
  const { head: row, body } = split(payload);
  const head = callHead(row);
  const job = new Job(id, head, shared);
  jobs.set(id, job);
  if (head.streamed) job.upload = new Upload((bytes) => output.frame(toHost.credit, id, u32(bytes), undefined));
  health?.enter();
  void forwarder?.forward(job, job.upload ?? body.slice()).finally(() => health?.leave());
}

/** @param {Uint8Array} payload u32 length, JSON head, body */
function split(payload) {
  const bodyAt = 4 + readU32(payload, 0);
  return { head: JSON.parse(Buffer.from(payload.subarray(4, bodyAt)).toString()), body: payload.subarray(bodyAt) };
}

/** @param {number} value */
function u32(value) {
  const bytes = new Uint8Array(4);
  writeU32(bytes, 0, value);
  return bytes;
}

/** @param {Uint8Array} bytes */
function write(bytes) {
  for (let at = 0; at < bytes.length;) at += writeSync(1, bytes, at);
}
