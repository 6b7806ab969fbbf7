// The function's side of the sandbox: takes frames from the host, loads the code, runs jobs, sends frames back. It knows
// neither Deno nor pipes: main.js connects it to those, and the in-process adapter to itself.
import { Job } from './job.js';
import { createOutput } from './output.js';
import { arrayPush, bytesSlice, bytesSubarray, decode, jsonParse, mapGet, mapSet, mapValues, textSlice } from './primordials.js';
import { findShape } from './shapes.js';
import { messageOf, stackOf } from './thrown.js';
import { Upload } from './upload.js';
import { loadWasm } from './wasm.js';
import { callHead, FrameReader, logLimits, maxFrameFromHost, readU32, toFunction, toHost, u32 } from './wire.js';

const earlyLines = 100;

/**
 * @param {object} platform
 * @param {(bytes: Uint8Array) => void} platform.write takes all bytes before it returns
 * @param {(code: Uint8Array, env: Readonly<Record<string, string>>) => Promise<any>} platform.load evaluates a bundle; its exports
 * @param {{ run: (value: any, work: () => void) => void, get: () => any }} platform.scope which job a line of code runs for
 * @param {(values: unknown[]) => string} platform.format what `console.log` would print
 * @param {() => void} platform.tidy gives back memory that nothing needs
 */
export function createHarness(platform) {
  const output = createOutput(platform.write);
  /** @type {Map<number, Job>} */
  const jobs = new Map();
  const shared = { frame: output.frame, jobs, format: platform.format, env: Object.freeze({}) };
  /** @type {((job: any, body: any) => void) | undefined} */
  let shape;
  /** What is the same for all calls. */
  let fixed = { function: '', version: '', memoryMiB: 0 };
  /** Lines written before the first job: shown with that job. @type {[number, string][]} */
  let early = [];

  /** @param {number} type @param {number} id @param {Uint8Array} payload a view that is only valid during the call */
  function onFrame(type, id, payload) {
    if (type === toFunction.call) return startJob(id, payload);
    if (type === toFunction.load) return void load(payload);
    if (type === toFunction.tidy) {
      platform.tidy();
      return output.frame(toHost.tidied, 0, undefined, undefined);
    }
    if (type === toFunction.ping) return output.frame(toHost.pong, 0, undefined, undefined);
    const job = mapGet(jobs, id);
    if (!job) return;
    if (type === toFunction.credit) job.addCredit(readU32(payload, 0));
    else if (type === toFunction.body) job.upload?.push(payload);
    else if (type === toFunction.bodyEnd) job.upload?.end();
    else if (type === toFunction.abort) job.abort(payload[0] === 1);
    else if (type === toFunction.told) {
      const { head, body } = split(payload);
      job.asks?.tell(head, body);
    } else if (type === toFunction.fetch) job.fetches?.tell(payload);
  }

  /** @param {Uint8Array} payload */
  async function load(payload) {
    const { head, body } = split(payload);
    try {
      shared.env = Object.freeze(head.env);
      const code = bytesSlice(body);
      if (head.kind === 'wasm') shape = await loadWasm(code, head.handler, shared.env);
      else shape = findShape(await platform.load(code, shared.env), head.handler);
      output.frame(toHost.loaded, 0, undefined, undefined);
    } catch (thrown) {
      output.frame(toHost.loadFailed, 0, undefined, `${messageOf(thrown)}\0${stackOf(thrown)}`);
    }
    output.flush();
  }

  /** @param {number} id @param {Uint8Array} payload */
  function startJob(id, payload) {
    const { head: row, body } = split(payload);
    const head = callHead(row);
    if (head.fixed) fixed = head.fixed;
    const { context } = head;
    context.function = fixed.function;
    context.version = fixed.version;
    context.memoryMiB = fixed.memoryMiB;
    const job = new Job(id, head, shared);
    mapSet(jobs, id, job);
    if (head.streamed) job.upload = new Upload((bytes) => output.frame(toHost.credit, id, u32(bytes), undefined));
    platform.scope.run(job, () => {
      if (early.length > 0) showEarly(job);
      shape?.(job, job.upload ?? body);
    });
  }

  /** @param {Job} job */
  function showEarly(job) {
    for (const [level, line] of early) job.log(level, line);
    early = [];
  }

  /** The job that this line of code runs for; where that is not known, the one under way that started last. @returns {Job | undefined} */
  function current() {
    const known = platform.scope.get();
    if (known) return known;
    let last;
    for (const job of mapValues(jobs)) if (!job.over) last = job;
    return last;
  }

  return {
    reader: new FrameReader(maxFrameFromHost, onFrame),
    flush: output.flush,
    /** True while the code is loaded and no job is under way. */
    atRest: () => shape !== undefined && jobs.size === 0,
    /** Says that code can be loaded now. */
    ready() {
      output.frame(toHost.ready, 0, undefined, undefined);
      output.flush();
    },
    /** A line of `console.*`. @param {number} level @param {unknown[]} values */
    log(level, values) {
      let text;
      try {
        text = platform.format(values);
      } catch (thrown) {
        text = `(a line that cannot be shown: ${messageOf(thrown)})`;
      }
      const job = current();
      if (job) job.log(level, text);
      else if (early.length < earlyLines) arrayPush(early, [level, textSlice(text, 0, logLimits.lineBytes / 4)]);
    },
    /** The function's `fetch`. @param {any} input @param {any} init */
    async fetch(input, init) {
      const job = current();
      if (!job || job.aborted) throw new TypeError('fetch works while a call is being answered.');
      return job.fetch(input, init);
    },
    /** An error that nobody caught: it fails the job it belongs to, where that is known or there is only one. @param {unknown} thrown */
    uncaught(thrown) {
      const known = platform.scope.get();
      let running = 0;
      for (const each of mapValues(jobs)) if (!each.over) running++;
      const job = known ?? (running === 1 ? current() : undefined);
      if (job && !job.over) job.fail(thrown);
      else this.log(3, [`uncaught: ${stackOf(thrown)}`]);
    },
  };
}

/** @param {Uint8Array} payload u32 length, JSON head, body */
function split(payload) {
  const bodyAt = 4 + readU32(payload, 0);
  return { head: jsonParse(decode(bytesSubarray(payload, 4, bodyAt))), body: bytesSubarray(payload, bodyAt) };
}
