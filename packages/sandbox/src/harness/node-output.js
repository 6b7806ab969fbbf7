// Standard output carries the frames to the host, and software written for Node writes to it: loggers by
// `process.stdout.write` or `fs.writeSync(1, …)`. What they write becomes lines of the function's log instead.
import { decode, hasInstance, textEndsWith, textSlice, textSplit, toText } from './primordials.js';

const { defineProperty } = Object;

/**
 * @param {any} process Node's `process`
 * @param {(level: number, line: string) => void} log
 */
export function divertStreams(process, log) {
  for (const [name, descriptor] of /** @type {[string, number][]} */ ([
    ['stdout', 1],
    ['stderr', 2],
  ])) {
    let stream;
    // Made when asked for: most functions that want `process` want its `env`.
    const get = () => (stream ??= createStream(process, descriptor, (chunk) => writeLines(log, descriptor, chunk)));
    defineProperty(process, name, { get, set: (value) => void (stream = value), enumerable: true, configurable: true });
  }
}

/** @param {any} process @param {number} descriptor @param {(chunk: unknown) => void} write */
function createStream(process, descriptor, write) {
  const { Writable } = process.getBuiltinModule('stream');
  const stream = new Writable({
    decodeStrings: false,
    write(/** @type {unknown} */ chunk, /** @type {string} */ _encoding, /** @type {() => void} */ done) {
      write(chunk);
      done();
    },
    // Node's own cannot be closed either.
    destroy(/** @type {unknown} */ _error, /** @type {() => void} */ done) {
      done();
    },
  });
  return Object.assign(stream, { fd: descriptor, isTTY: false });
}

/** @param {any} fs Node's `fs` @param {(level: number, line: string) => void} log */
export function divertFiles(fs, log) {
  const { write, writeSync } = fs;
  fs.writeSync = (/** @type {unknown} */ file, /** @type {any} */ data, /** @type {any[]} */ ...rest) => {
    if (file !== 1 && file !== 2) return writeSync(file, data, ...rest);
    writeLines(log, file, part(data, rest));
    return sizeOf(data, rest);
  };
  fs.write = (/** @type {unknown} */ file, /** @type {any} */ data, /** @type {any[]} */ ...rest) => {
    if (file !== 1 && file !== 2) return write(file, data, ...rest);
    writeLines(log, file, part(data, rest));
    const done = rest.at(-1);
    if (typeof done === 'function') queueMicrotask(() => done(null, sizeOf(data, rest), data));
  };
}

/** `write(fd, bytes, offset, length)` writes a part of the bytes. @param {any} data @param {any[]} rest */
function part(data, [offset, length]) {
  if (typeof data === 'string' || typeof offset !== 'number') return data;
  return data.subarray(offset, typeof length === 'number' ? offset + length : undefined);
}

/** @param {any} data @param {any[]} rest */
function sizeOf(data, rest) {
  return typeof data === 'string' ? new TextEncoder().encode(data).length : part(data, rest).length;
}

/** @param {(level: number, line: string) => void} log @param {number} descriptor @param {unknown} chunk */
function writeLines(log, descriptor, chunk) {
  const text = hasInstance(Uint8Array, chunk) ? decode(/** @type {Uint8Array} */ (chunk)) : toText(chunk);
  if (text === '') return;
  for (const line of textSplit(textEndsWith(text, '\n') ? textSlice(text, 0, -1) : text, '\n')) log(descriptor === 2 ? 3 : 1, line);
}
