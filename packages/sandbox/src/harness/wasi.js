// WASI preview 1 for one program without files: standard input, output and error, arguments, environment, clocks, random
// bytes and the end. After https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md
import { wasiFunctions } from './wasm-format.js';

/** Numbers of the errors that occur. */
const errno = { success: 0, badf: 8, fault: 21, inval: 28, nosys: 52, notsup: 58, spipe: 70 };
const stdin = 0;
const stdout = 1;
const stderr = 2;
const clockIds = { realtime: 0, monotonic: 1 };
const eventClock = 0;
const eventRead = 1;
const subscriptionBytes = 48;
const eventBytes = 32;
/** A pipe: neither a terminal nor a file that one could seek in. */
const filetypeUnknown = 0;
const rightRead = 1n << 1n;
const rightWrite = 1n << 6n;
/** Of one call of `crypto.getRandomValues`. */
const randomBytes = 65_536;

const encoder = new TextEncoder();

/** How a program ends by itself, which may be well. */
export class Exit extends Error {
  /** @param {number} code */
  constructor(code) {
    super(`exit code ${code}`);
    this.code = code;
  }
}

/**
 * @param {object} program
 * @param {() => ArrayBuffer} program.memory its memory as it is now
 * @param {readonly string[]} program.args the name first
 * @param {Readonly<Record<string, string>>} program.env
 * @param {Uint8Array} program.input all of standard input
 * @param {(bytes: Uint8Array) => void} program.output takes what is written to standard output; may throw to end the program
 * @param {(bytes: Uint8Array) => void} program.errors the same for standard error
 * @returns {Record<string, Function>} every function of WASI preview 1
 */
export function createWasi({ memory, args, env, input, output, errors }) {
  const argTexts = args.map((each) => encoder.encode(`${each}\0`));
  const envTexts = Object.entries(env).map(([name, value]) => encoder.encode(`${name}=${value}\0`));
  let read = 0;
  const view = () => new DataView(memory());
  const bytes = (/** @type {number} */ at, /** @type {number} */ length) => new Uint8Array(memory(), at >>> 0, length >>> 0);

  /** @param {Uint8Array[]} texts @param {number} countAt @param {number} sizeAt */
  function sizes(texts, countAt, sizeAt) {
    view().setUint32(countAt, texts.length, true);
    view().setUint32(
      sizeAt,
      texts.reduce((sum, { length }) => sum + length, 0),
      true,
    );
    return errno.success;
  }

  /** @param {Uint8Array[]} texts @param {number} listAt @param {number} textAt */
  function list(texts, listAt, textAt) {
    let at = textAt >>> 0;
    texts.forEach((text, index) => {
      view().setUint32((listAt >>> 0) + index * 4, at, true);
      bytes(at, text.length).set(text);
      at += text.length;
    });
    return errno.success;
  }

  /** Each buffer of a scatter list. @param {number} listAt @param {number} count @param {(buffer: Uint8Array) => boolean} take false to stop */
  function buffers(listAt, count, take) {
    for (let i = 0; i < count >>> 0; i++) {
      const at = (listAt >>> 0) + i * 8;
      if (!take(bytes(view().getUint32(at, true), view().getUint32(at + 4, true)))) return;
    }
  }

  const given = {
    args_sizes_get: (/** @type {number} */ countAt, /** @type {number} */ sizeAt) => sizes(argTexts, countAt, sizeAt),
    args_get: (/** @type {number} */ listAt, /** @type {number} */ textAt) => list(argTexts, listAt, textAt),
    environ_sizes_get: (/** @type {number} */ countAt, /** @type {number} */ sizeAt) => sizes(envTexts, countAt, sizeAt),
    environ_get: (/** @type {number} */ listAt, /** @type {number} */ textAt) => list(envTexts, listAt, textAt),

    clock_res_get(/** @type {number} */ id, /** @type {number} */ at) {
      if (id !== clockIds.realtime && id !== clockIds.monotonic) return errno.inval;
      view().setBigUint64(at, 1_000_000n, true);
      return errno.success;
    },
    clock_time_get(/** @type {number} */ id, /** @type {bigint} */ _precision, /** @type {number} */ at) {
      if (id !== clockIds.realtime && id !== clockIds.monotonic) return errno.inval;
      view().setBigUint64(at, nowNs(id), true);
      return errno.success;
    },

    fd_write(/** @type {number} */ fd, /** @type {number} */ listAt, /** @type {number} */ count, /** @type {number} */ writtenAt) {
      if (fd !== stdout && fd !== stderr) return errno.badf;
      let written = 0;
      buffers(listAt, count, (buffer) => {
        if (buffer.length > 0) (fd === stdout ? output : errors)(buffer);
        written += buffer.length;
        return true;
      });
      view().setUint32(writtenAt, written, true);
      return errno.success;
    },
    fd_read(/** @type {number} */ fd, /** @type {number} */ listAt, /** @type {number} */ count, /** @type {number} */ readAt) {
      if (fd !== stdin) return errno.badf;
      const before = read;
      buffers(listAt, count, (buffer) => {
        const piece = input.subarray(read, read + buffer.length);
        buffer.set(piece);
        read += piece.length;
        return piece.length === buffer.length;
      });
      view().setUint32(readAt, read - before, true);
      return errno.success;
    },
    fd_fdstat_get(/** @type {number} */ fd, /** @type {number} */ at) {
      if (fd >>> 0 > stderr) return errno.badf;
      bytes(at, 24).fill(0);
      view().setUint8(at, filetypeUnknown);
      view().setBigUint64(at + 8, fd === stdin ? rightRead : rightWrite, true);
      return errno.success;
    },
    fd_filestat_get(/** @type {number} */ fd, /** @type {number} */ at) {
      if (fd >>> 0 > stderr) return errno.badf;
      bytes(at, 64).fill(0);
      return errno.success;
    },
    fd_fdstat_set_flags: (/** @type {number} */ fd) => (fd >>> 0 > stderr ? errno.badf : errno.success),
    fd_seek: (/** @type {number} */ fd) => (fd >>> 0 > stderr ? errno.badf : errno.spipe),
    fd_tell: (/** @type {number} */ fd) => (fd >>> 0 > stderr ? errno.badf : errno.spipe),
    fd_close: (/** @type {number} */ fd) => (fd >>> 0 > stderr ? errno.badf : errno.success),
    // The list of folders that are open from the start: there is none.
    fd_prestat_get: () => errno.badf,

    poll_oneoff(/** @type {number} */ inAt, /** @type {number} */ outAt, /** @type {number} */ count, /** @type {number} */ countAt) {
      if (count === 0) return errno.inval;
      view().setUint32(countAt, poll(view(), inAt >>> 0, outAt >>> 0, count >>> 0, input.length - read), true);
      return errno.success;
    },
    sched_yield: () => errno.success,
    random_get(/** @type {number} */ at, /** @type {number} */ length) {
      const wanted = bytes(at, length);
      for (let i = 0; i < wanted.length; i += randomBytes) crypto.getRandomValues(wanted.subarray(i, i + randomBytes));
      return errno.success;
    },
    proc_exit(/** @type {number} */ code) {
      throw new Exit(code >>> 0);
    },
  };
  return Object.fromEntries(wasiFunctions.map((name) => [name, guarded(given[name] ?? refusal(name))]));
}

/** An address outside its memory is the program's fault, and told to it. @param {Function} work */
function guarded(work) {
  return (/** @type {any[]} */ ...values) => {
    try {
      return work(...values);
    } catch (thrown) {
      if (thrown instanceof RangeError && /bounds|invalid.*length/i.test(thrown.message)) return errno.fault;
      throw thrown;
    }
  };
}

/** Files and sockets: there are none. @param {string} name */
function refusal(name) {
  const code = /^(path|fd)_/.test(name) ? errno.badf : name.startsWith('sock_') ? errno.notsup : errno.nosys;
  return () => code;
}

/** @param {number} id */
function nowNs(id) {
  return id === clockIds.realtime ? BigInt(Date.now()) * 1_000_000n : BigInt(Math.round(performance.now() * 1_000_000));
}

/**
 * Waits until the first of the subscribed events. Standard input is all there, and output is always taken, so only clocks are
 * ever waited for; the time limit of the call ends what sleeps too long.
 * @param {DataView} view @param {number} inAt @param {number} outAt @param {number} count @param {number} unread
 * @returns {number} events that have happened
 */
function poll(view, inAt, outAt, count, unread) {
  const subscriptions = Array.from({ length: count }, (_, i) => subscription(view, inAt + i * subscriptionBytes));
  const ready = subscriptions.filter(({ waitMs }) => waitMs === undefined);
  if (ready.length === 0) {
    const waitMs = Math.min(...subscriptions.map((each) => /** @type {number} */ (each.waitMs)));
    if (waitMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, waitMs);
    ready.push(...subscriptions.filter((each) => each.waitMs === waitMs));
  }
  ready.forEach(({ userdata, type, error }, i) => {
    const at = outAt + i * eventBytes;
    for (let offset = 0; offset < eventBytes; offset += 8) view.setBigUint64(at + offset, 0n, true);
    view.setBigUint64(at, userdata, true);
    view.setUint16(at + 8, error, true);
    view.setUint8(at + 10, type);
    if (type === eventRead) view.setBigUint64(at + 16, BigInt(unread), true);
  });
  return ready.length;
}

/** @param {DataView} view @param {number} at */
function subscription(view, at) {
  const userdata = view.getBigUint64(at, true);
  const type = view.getUint8(at + 8);
  if (type === eventClock) {
    const clock = view.getUint32(at + 16, true);
    const timeoutNs = view.getBigUint64(at + 24, true);
    const absolute = (view.getUint16(at + 40, true) & 1) === 1;
    if (clock > clockIds.monotonic) return { userdata, type, error: errno.inval, waitMs: undefined };
    const leftNs = absolute ? timeoutNs - nowNs(clock) : timeoutNs;
    return { userdata, type, error: errno.success, waitMs: leftNs > 0n ? Math.ceil(Number(leftNs) / 1e6) : 0 };
  }
  const fd = view.getUint32(at + 16, true);
  const known = type === eventRead ? fd === stdin : fd === stdout || fd === stderr;
  return { userdata, type, error: known ? errno.success : errno.badf, waitMs: undefined };
}
