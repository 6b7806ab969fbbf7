// Runs inside Deno, in the sandbox: connects the harness to standard input and output.
import { createHarness } from './harness.js';
import { createRequire, loadBundle } from './load.js';
import { prepareNode } from './node-builtins.js';
import { bytesSubarray, hasInstance, toText, uncurry } from './primordials.js';

const { stdin, stdout, inspect, exit } = Deno;
const { createObjectURL, revokeObjectURL } = URL;
const BlobConstructor = Blob;
const writeSync = uncurry(stdout.writeSync);
const read = uncurry(stdin.read);
const readSync = uncurry(stdin.readSync);
const now = performance.now.bind(performance);
const settled = Promise.resolve();
/** Turns of the microtask queue in which handlers that wait for nothing outside come to their end. */
const patience = 16;
/** How long what no job waits for, such as a timer of the module, may be kept waiting while calls follow each other closely. */
const turnEveryMs = 5;
const onError = globalThis.addEventListener.bind(globalThis);
const { gc } = globalThis;
// Not for functions; the engine does not let it be deleted.
globalThis.gc = undefined;

const harness = createHarness({ write, load, scope: createScope(), format, tidy });

for (const [name, level] of Object.entries({ debug: 0, trace: 0, log: 1, info: 1, dir: 1, table: 1, warn: 2, error: 3 })) {
  console[name] = (/** @type {unknown[]} */ ...values) => harness.log(level, values);
}
console.assert = (/** @type {unknown} */ condition, /** @type {unknown[]} */ ...values) => {
  if (!condition) harness.log(3, ['Assertion failed', ...values]);
};
onError('unhandledrejection', (event) => {
  event.preventDefault();
  harness.uncaught(event.reason);
});
onError('error', (event) => {
  event.preventDefault();
  harness.uncaught(event.error);
});

const nativeFetch = globalThis.fetch;
// A Blob and a data URL are the function's own; anything else is asked of the host.
globalThis.fetch = (input, init) => {
  const url = toText(hasInstance(Request, input) ? input.url : input);
  return /^(data|blob):/i.test(url) ? nativeFetch(input, init) : harness.fetch(input, init);
};

const node = prepareNode((level, line) => harness.log(level, [line]));

harness.ready();
let turnedAtMs = 0;
const buffer = new Uint8Array(65_536);
for (;;) {
  const count = (await isAtRest()) && now() - turnedAtMs < turnEveryMs ? readSync(stdin, buffer) : await readAsync();
  // The host has gone.
  if (count === null) exit(0);
  harness.reader.push(bytesSubarray(buffer, 0, count));
}

/**
 * Reading without waiting for it costs a third: no thread is asked and woken. It stops everything else in this process, so
 * it is for moments in which no job is under way.
 */
async function isAtRest() {
  for (let i = 0; i < patience; i++) {
    await settled;
    if (harness.atRest()) break;
  }
  if (!harness.atRest()) return false;
  harness.flush();
  return true;
}

async function readAsync() {
  const count = await read(stdin, buffer);
  turnedAtMs = now();
  return count;
}

/** @param {Uint8Array} bytes */
function write(bytes) {
  let at = writeSync(stdout, bytes);
  while (at < bytes.length) at += writeSync(stdout, bytesSubarray(bytes, at));
}

/** The process has been idle for a while: 24 MB become 12, and what large applications leave behind goes too. */
function tidy() {
  gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

/** @param {Uint8Array} code @param {Readonly<Record<string, string>>} env */
function load(code, env) {
  node.giveEnvironment(env);
  return loadBundle(code, {
    builtin: node.builtin,
    async importModule(source) {
      node.prepareFor(source);
      // CommonJS packages inside a module look for it.
      Object.defineProperty(globalThis, 'require', { value: createRequire(node.builtin), writable: true, configurable: true });
      const url = createObjectURL(new BlobConstructor([source], { type: 'text/javascript' }));
      try {
        return await import(url);
      } finally {
        revokeObjectURL(url);
      }
    },
  });
}

/**
 * Deno's own asynchronous context. It stands behind `node:async_hooks` too, whose import takes 8 ms that this saves; a
 * Deno without it gives no attribution and nothing worse. It is a list of variables that each of Deno's own copies along
 * with the others; those keep their values in a WeakMap, which at each job costs as much as all the rest of it.
 */
function createScope() {
  const core = Deno[Deno.internal]?.core;
  if (!core?.getAsyncContext || !core.setAsyncContext) return { run: (_job, work) => work(), get: () => undefined };
  const { setAsyncContext, getAsyncContext } = core;
  return {
    run(job, work) {
      const before = getAsyncContext();
      setAsyncContext(before === undefined ? { job } : { ...before, job });
      try {
        work();
      } finally {
        setAsyncContext(before);
      }
    },
    get: () => getAsyncContext()?.job,
  };
}

/** @param {unknown[]} values */
function format(values) {
  let text = '';
  for (let i = 0; i < values.length; i++) {
    if (i > 0) text += ' ';
    text += typeof values[i] === 'string' ? values[i] : inspect(values[i], { depth: 4, iterableLimit: 100, strAbbreviateSize: 2_000 });
  }
  return text;
}
