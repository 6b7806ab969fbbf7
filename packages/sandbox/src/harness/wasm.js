// WebAssembly modules as functions: commands of WASI preview 1, and reactors whose exported functions take and give bytes.
import { contentTypeOf } from './content-type.js';
import { asBytes, encode } from './primordials.js';
import { gather, queryOf } from './shapes.js';
import { createWasi, Exit } from './wasi.js';
import { compileWasm, orbModule, wasiModule } from './wasm-format.js';
import { bufferedBytes, faults, logLimits } from './wire.js';

const { WebAssembly, URLSearchParams } = globalThis;
const tooLarge = faults.indexOf('response-too-large');
const maxArguments = 64;
const maxMessageBytes = 4_096;
const levels = [0, 1, 2, 3];

/** What a module says was its failure. */
class Failure extends Error {
  name = 'Error';
}

/** More standard output than an answer may have. */
class Flood extends Error {}

/**
 * @param {Uint8Array} code @param {string} handler @param {Readonly<Record<string, string>>} env
 * @returns {Promise<(job: any, body: any) => void>} runs one job
 * @throws TypeError, CompileError with words for the function's owner
 */
export async function loadWasm(code, handler, env) {
  const { module, command, entry } = await compileWasm(code, handler);
  const run = command ? (job, body) => runCommand(module, env, job, body) : createReactor(module, entry, env);
  return function start(job, body) {
    if (!asBytes(body)) return gather(job, body, (bytes) => start(job, bytes));
    try {
      run(job, body);
    } catch (thrown) {
      // Nothing waits for this process while it computes: only its end can be told of.
      job.fail(thrown, thrown instanceof Flood ? tooLarge : undefined);
    }
  };
}

/** From `_start` to the end: each call has an instance of its own, which nothing outlives. */
function runCommand(module, env, job, body) {
  const output = new Output();
  const errors = new Lines((line) => job.log(3, line));
  const args = ['function', ...argumentsOf(job.head.path)];
  const { instance } = instantiate(module, {
    args,
    env: { ...env, ...environmentOf(job.head.context) },
    input: body,
    output: (bytes) => output.push(bytes),
    errors: (bytes) => errors.push(bytes),
    job: () => job,
  });
  const code = exitCodeOf(() => instance.exports._start());
  errors.end();
  if (code !== 0) throw new Failure(`The program ended with exit code ${code}${errors.last === '' ? '.' : `: ${errors.last}`}`);
  send(job, output.bytes());
}

/** One instance serves all calls, one at a time; after a trap nobody knows what state it is in, and the next call has a new one. */
function createReactor(module, entry, env) {
  let live;
  let job;
  const lines = (level) => new Lines((line) => job?.log(level, line));
  const start = () => {
    const output = lines(1);
    const errors = lines(3);
    const { instance, memory } = instantiate(module, {
      args: ['function'],
      env,
      input: new Uint8Array(),
      output: (bytes) => output.push(bytes),
      errors: (bytes) => errors.push(bytes),
      job: () => job,
    });
    const code = exitCodeOf(() => instance.exports._initialize?.());
    if (code !== 0) throw new Failure(`The module ended with exit code ${code} while it was being initialised.`);
    return { exports: instance.exports, memory, flush: () => (output.end(), errors.end()) };
  };
  return (next, body) => {
    job = next;
    try {
      live ??= start();
      const input = inputOf(job.head, body);
      const address = live.exports.orb_alloc(input.length) >>> 0;
      new Uint8Array(live.memory(), address, input.length).set(input);
      const result = live.exports[entry](address, input.length);
      if (typeof result !== 'bigint') throw new TypeError(`${entry} must return an i64: the result’s address above, its length below.`);
      const at = Number((result >> 32n) & 0xffff_ffffn);
      const length = Number(result & 0xffff_ffffn);
      if (length > bufferedBytes) throw new Flood(`${entry} returned ${length} bytes; the limit is ${bufferedBytes}.`);
      const output = new Uint8Array(live.memory(), at, length).slice();
      live.exports.orb_free?.(at, length);
      live.flush();
      send(job, output);
    } catch (thrown) {
      live?.flush();
      live = undefined;
      if (thrown instanceof Exit) throw new Failure(`The module ended with exit code ${thrown.code}.`);
      throw thrown;
    } finally {
      job = undefined;
    }
  };
}

function instantiate(module, { args, env, input, output, errors, job }) {
  const memory = () => instance.exports.memory.buffer;
  const text = (at, length) => new TextDecoder().decode(new Uint8Array(memory(), at >>> 0, Math.min(length >>> 0, maxMessageBytes)));
  const own = {
    fail: (at, length) => {
      throw new Failure(text(at, length));
    },
    log: (level, at, length) => job()?.log(levels.includes(level) ? level : 1, text(at, length)),
  };
  const instance = new WebAssembly.Instance(module, {
    [wasiModule]: createWasi({ memory, args, env, input, output, errors }),
    [orbModule]: own,
  });
  return { instance, memory };
}

/** @param {() => void} work */
function exitCodeOf(work) {
  try {
    work();
    return 0;
  } catch (thrown) {
    if (thrown instanceof Exit) return thrown.code;
    throw thrown;
  }
}

/** As a container's job gets them. @param {string} path */
function argumentsOf(path) {
  const at = path.indexOf('?');
  const words = at < 0 ? [] : new URLSearchParams(path.slice(at)).getAll('arg');
  if (words.length > maxArguments) throw new Failure(`The call has ${words.length} arguments; the limit is ${maxArguments}.`);
  if (words.some((word) => word.includes('\0'))) throw new Failure('An argument holds a NUL character.');
  return words;
}

/** As a container has it. */
function environmentOf(context) {
  return {
    ORB_CALL: context.call,
    ORB_JOB: context.job,
    ORB_ATTEMPT: String(context.attempt),
    ORB_FUNCTION: context.function,
    ORB_VERSION: context.version,
    ...(context.caller && { ORB_CALLER: context.caller.function ?? context.caller.name }),
  };
}

/** The body as it came; the query of a GET without one, and `null` for any other, as the JSON handlers get it. */
function inputOf(head, body) {
  if (body.length > 0) return body;
  return encode(head.method === 'GET' && head.mode === 'http' ? JSON.stringify(queryOf(head.path)) : 'null');
}

/** @param {any} job @param {Uint8Array} body */
function send(job, body) {
  const type = contentTypeOf(body);
  job.answer(type === undefined ? 204 : 200, type === undefined ? '[]' : JSON.stringify([['content-type', type]]), body);
}

/** What a command has written to standard output. */
class Output {
  #bytes = new Uint8Array(4_096);
  #length = 0;

  /** @param {Uint8Array} view only valid during this call */
  push(view) {
    const length = this.#length + view.length;
    if (length > bufferedBytes) throw new Flood(`The program wrote more than ${bufferedBytes} bytes to standard output.`);
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(view, this.#length);
    this.#length = length;
  }

  bytes() {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** Cuts what is written into lines; a line without an end is cut at the longest that a log takes. */
class Lines {
  #decoder = new TextDecoder();
  #rest = '';
  #take;
  last = '';

  /** @param {(line: string) => void} take */
  constructor(take) {
    this.#take = take;
  }

  /** @param {Uint8Array} view only valid during this call */
  push(view) {
    const lines = (this.#rest + this.#decoder.decode(view, { stream: true })).split('\n');
    this.#rest = /** @type {string} */ (lines.pop());
    for (const line of lines) this.#show(line);
    if (this.#rest.length < logLimits.lineBytes) return;
    this.#show(this.#rest);
    this.#rest = '';
  }

  end() {
    if (this.#rest !== '') this.#show(this.#rest);
    this.#rest = '';
  }

  /** @param {string} line */
  #show(line) {
    if (line.trim() === '') return;
    this.last = line.slice(0, 512);
    this.#take(line);
  }
}
