import type { Attempt, Column } from './tries.ts';

/** Goes before every handler: writes frames to standard output, as the harness would. */
export const forge = `
  const out = (...bytes) => Deno.stdout.writeSync(new Uint8Array(bytes));
  const u32 = (n) => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24];
  const frame = (type, job, payload) => out(...u32(5 + payload.length), type, ...u32(job), ...payload);
  const ascii = (text) => [...text].map((c) => c.charCodeAt(0));
  const answer = (job, status, headers, body = '') => frame(68, job, [1, status & 255, status >>> 8, ...u32(headers.length), ...ascii(headers), ...ascii(body)]);
  const hang = () => new Promise(() => {});
`;

const denied = (name: string, code: string, error = /^A function has no \w+ access/): Attempt => ({
  name,
  layer: 'Deno’s permissions',
  code,
  error,
});
const clock = (code: string, name?: string, timeoutMs = 200): Attempt => ({
  ...(name !== undefined && { name }),
  layer: 'the host’s clock',
  code,
  outcome: 'timed-out',
  error: /did not answer within \d+ ms/,
  timeoutMs,
});
const exhausted = (name: string, layer: string, code: string): Attempt => ({
  name,
  layer,
  code,
  outcome: 'out-of-memory',
  error: /memory|MiB|allocation/,
});
const forged = (name: string, code: string, error = /./, more: Partial<Attempt> = {}): Attempt => ({
  name,
  layer: 'the host, which checks every frame',
  code,
  outcome: 'bad-response',
  error,
  ...more,
});
const flood = (name: string, code: string, more: Partial<Attempt> = {}): Attempt => ({
  ...forged(name, code, /./, more),
  layer: 'the host’s limits of frames',
});

/** A bundle in a Deno process. */
export const javascript: Column = {
  files: [
    denied('read', 'return Deno.readTextFileSync("/etc/passwd")'),
    denied('read, Node’s way', 'return (await import("node:fs")).readFileSync("/etc/passwd", "utf8")'),
    denied('the harness', 'return Deno.readTextFileSync("/harness/main.js")'),
    denied('the root listed', 'return [...Deno.readDirSync("/")]'),
    denied('written', 'Deno.writeTextFileSync("/tmp/x", "x"); return 1'),
    denied('its own memory', 'return Deno.readFileSync("/proc/self/mem").length'),
    denied('as code', 'return Object.keys(await import("file:///usr/share/some/module.js"))'),
    denied('as data of a module', 'return (await import("file:///etc/passwd", { with: { type: "json" } })).default'),
    denied(
      'as code, by a static import',
      'const url = URL.createObjectURL(new Blob(["export { default } from \\"file:///etc/hostname\\""], { type: "text/javascript" })); return Object.keys(await import(url))',
    ),
    {
      ...denied('by asking for the permission', 'return (await Deno.permissions.request({ name: "read" })).state'),
      outcome: 'ok',
      says: /^"denied"$/,
    },
  ],
  symlinks: [
    denied('made', 'Deno.symlinkSync("/etc/passwd", "/tmp/orb-link"); return Deno.readTextFileSync("/tmp/orb-link")', /requires unscoped/),
  ],
  environment: [
    {
      name: 'read',
      layer: 'an environment of its own',
      code: 'return [Object.keys(Deno.env.toObject()), Object.keys(process.env), Deno.env.get("PATH") ?? null]',
      outcome: 'ok',
      says: /^\[\[\],\[\],null\]$/,
    },
    denied('the machine’s name', 'return Deno.hostname()'),
    denied('the user', 'return Deno.uid()'),
  ],
  'other processes': [
    denied('read', 'return Deno.readTextFileSync("/proc/1/environ")'),
    denied('listed', 'return [...Deno.readDirSync("/proc")]'),
  ],
  signals: [
    denied('to another process', 'Deno.kill(2, "SIGTERM"); return 1'),
    denied('to its parent', 'process.kill(process.ppid, "SIGKILL"); return 1'),
  ],
  'TCP sockets': [
    denied('connected', 'await Deno.connect({ hostname: "127.0.0.1", port: 80 }); return 1'),
    denied(
      'connected, Node’s way',
      'const net = await import("node:net"); return new Promise((y, n) => net.connect(80, "127.0.0.1").on("connect", y).on("error", n))',
    ),
    denied('listening', 'Deno.listen({ port: 0 }); return 1'),
    denied('by fetch', 'return (await fetch("http://127.0.0.1/")).status', /./),
    denied(
      'by a web socket',
      'return new Promise((y, n) => { const w = new WebSocket("ws://127.0.0.1/"); w.onopen = () => y(1); w.onerror = () => n(new Error("refused")) })',
    ),
    denied('code from afar', 'return Object.keys(await import("https://example.com/x.js"))', /./),
    denied('code from npm', 'return Object.keys(await import("npm:lodash"))', /./),
    denied('the network’s cards', 'return Deno.networkInterfaces()'),
  ],
  'UDP sockets': [
    denied('bound', 'Deno.listenDatagram({ transport: "udp", port: 0 }); return 1', /listenDatagram is not a function/),
    denied(
      'sent, Node’s way',
      'const d = await import("node:dgram"); return await new Promise((y, n) => d.createSocket("udp4").on("error", n).send("x", 53, "127.0.0.1", (e) => e ? n(e) : y(1)))',
    ),
  ],
  'unix sockets': [denied('connected', 'await Deno.connect({ transport: "unix", path: "/var/run/docker.sock" }); return 1')],
  DNS: [
    // In namespaces it does not even find the address of a name server.
    denied('asked', 'return await Deno.resolveDns("example.com", "A")', /^A function has no net access|No such file/),
    denied('asked, Node’s way', 'return await (await import("node:dns/promises")).lookup("example.com")', /EPERM/),
  ],
  'other programs': [
    denied('run', 'return new Deno.Command("/deno", { args: ["--version"] }).outputSync().code'),
    denied(
      'run, Node’s way',
      'const { spawn } = await import("node:child_process"); return new Promise((y, n) => spawn("id").on("error", n).on("exit", y))',
      /^Failed to spawn/,
    ),
    denied('run by a shell', 'return (await import("node:child_process")).execSync("id").toString()', /^Command failed: id/),
  ],
  'a fork bomb': [
    {
      ...clock('for (;;) try { new Deno.Command("/deno", { args: ["eval", "for(;;);"] }).spawn() } catch {}', undefined, 300),
      layer: 'Deno’s permissions, and the host’s clock',
    },
  ],
  'native code (FFI)': [denied('a library', 'return Object.keys(Deno.dlopen("/lib/x86_64-linux-gnu/libc.so.6", {}))')],
  WebGPU: [
    {
      name: 'a graphics card',
      layer: 'an environment that leaves no driver to load',
      code: 'return navigator.gpu ? await navigator.gpu.requestAdapter() : null',
      outcome: 'ok',
      says: /^null$/,
    },
  ],
  'localStorage and caches': [
    denied('local storage', 'localStorage.setItem("a", "b"); return 1', /./),
    denied('caches', 'await caches.open("a"); return 1', /./),
    denied('a key–value store', 'await Deno.openKv(); return 1', /./),
    denied('SQLite', 'const { DatabaseSync } = await import("node:sqlite"); new DatabaseSync("/tmp/x.db"); return 1', /./),
  ],
  workers: [
    denied(
      'that inherit permissions',
      'return new Promise((y, n) => { const w = new Worker("data:text/javascript,postMessage(Deno.readTextFileSync(\'/etc/passwd\'))", { type: "module", deno: { permissions: "inherit" } }); w.onmessage = (m) => y(m.data); w.onerror = (e) => { e.preventDefault(); n(new Error(e.message)) } })',
      /./,
    ),
    denied(
      'that ask for permissions',
      'new Worker("data:text/javascript,1", { type: "module", deno: { permissions: { read: true } } }); return 1',
      /./,
    ),
    {
      name: 'by the hundred',
      layer: 'the memory watch',
      code: 'for (let i = 0; i < 200; i++) new Worker("data:text/javascript,const a=[];for(;;)a.push(new Array(1e4).fill(1))", { type: "module" }); return hang()',
      outcome: /out-of-memory|timed-out|function-failed/,
      error: /./,
      timeoutMs: 5_000,
    },
  ],
  'the inspector': [denied('opened', 'const i = await import("node:inspector"); i.open(0); return i.url()', /./)],
  'a heap bomb': [
    exhausted('of objects', 'V8’s limit of the heap', 'const all = []; for (;;) all.push(new Array(1e4).fill({}))'),
    exhausted(
      'of strings',
      'V8’s limit of the heap',
      'const all = []; for (let i = 0;; i++) all.push((i + "x").repeat(5e6).split("").join("-"))',
    ),
    exhausted('of one JSON text', 'the limit of data', 'return JSON.parse("[".repeat(3e6) + "]".repeat(3e6)).length'),
  ],
  'an ArrayBuffer bomb': [
    exhausted('of many', 'the memory watch', 'const all = []; for (;;) all.push(new Uint8Array(1e7).fill(1))'),
    exhausted('of one', 'the limit of data, and the memory watch', 'return new Uint8Array(4e9).fill(1).length'),
  ],
  'a WASM memory bomb': [
    exhausted(
      'of many memories',
      'V8’s limit of pages, and the memory watch',
      'const all = []; for (;;) { const m = new WebAssembly.Memory({ initial: 1000 }); new Uint8Array(m.buffer).fill(1); all.push(m) }',
    ),
  ],
  'an endless loop, synchronous': [clock('for (;;);')],
  'an endless loop, asynchronous': [
    clock('for (;;) await null'),
    clock('const next = () => setTimeout(next, 0); next(); return hang()', 'of timers'),
    clock('return hang()', 'a promise that never settles', 100),
  ],
  'an endless loop of microtasks': [
    clock('const next = () => queueMicrotask(next); next(); return hang()'),
    clock('const next = () => Promise.resolve().then(next); return next()', 'of promises'),
  ],
  'an endless regular expression': [clock('return /^(a+)+$/.test("a".repeat(50) + "!")')],
  'floods of output': [
    flood('zeros', 'for (;;) Deno.stdout.writeSync(new Uint8Array(65536))'),
    flood('words', 'for (;;) Deno.stdout.writeSync(new TextEncoder().encode("hello ".repeat(1e4)))'),
    { ...flood('standard error', 'for (;;) Deno.stderr.writeSync(new Uint8Array(65536))'), error: /too much to standard error/ },
    {
      name: 'log lines',
      layer: 'the limits of a log',
      code: 'for (let i = 0; i < 2e5; i++) console.log("x".repeat(1000)); return 1',
      outcome: 'ok',
      says: /^1$/,
    },
    flood('forged log frames', 'for (;;) frame(73, 0, [1, 65])'),
    flood('forged log frames for its own job', 'for (;;) frame(73, 1, [1, 65])'),
    flood('forged credit', 'for (;;) frame(74, 1, [1, 0, 0, 0])'),
    flood('empty pieces of a body', 'frame(69, 1, [0, 200, 0, ...u32(2), 91, 93]); for (;;) frame(70, 1, [])'),
    flood('tiny pieces of a body', 'frame(69, 1, [0, 200, 0, ...u32(2), 91, 93]); for (;;) frame(70, 1, [1])', { unread: true }),
    flood('forged words about requests', 'for (;;) frame(78, 1, [...u32(0), 2])'),
    flood('forged requests', 'for (let i = 1;; i++) frame(78, 1, [...u32(i), 0, ...u32(2), 123, 125])'),
    flood('forged pongs', 'for (;;) frame(75, 0, [])'),
  ],
  'forged frames on standard output': [
    forged('for a job that was never sent', 'answer(99, 200, "[]"); return hang()', /job 99/),
    forged('a second start', 'frame(65, 0, []); return hang()'),
    forged('two answers', 'frame(69, 1, [0, 200, 0, ...u32(2), 91, 93]); answer(1, 200, "[]"); return hang()'),
    forged('a body before any head', 'frame(70, 1, [1, 2, 3]); return hang()'),
    forged(
      'more body than it has credit for',
      'frame(69, 1, [0, 200, 0, ...u32(2), 91, 93]); const piece = new Array(60000).fill(0); for (let i = 0; i < 20; i++) frame(70, 1, piece); return hang()',
      /./,
      { unread: true },
    ),
    clock('const b = new Uint8Array(1e5); for (let i = 0; i < 3; i++) await Deno.stdin.read(b)', 'reading what the host sends'),
  ],
  'giant frames': [
    forged('of four gigabytes', 'out(255, 255, 255, 255, 68, 1, 0, 0, 0); return hang()'),
    forged('headers longer than the frame', 'frame(68, 1, [1, 200, 0, ...u32(1e6), 91, 93]); return hang()'),
  ],
  'malformed frames': [
    forged('too short to be one', 'out(1, 0, 0, 0, 68, 1, 0, 0, 0); return hang()'),
    forged('of an unknown type', 'frame(200, 1, []); return hang()'),
    forged('a status that is none', 'answer(1, 99, "[]"); return hang()', /status/),
    forged('a line break in a header', 'answer(1, 200, \'[["a","b\\\\r\\\\nset-cookie: c"]]\'); return hang()', /header/),
    forged('headers that are no JSON', 'answer(1, 200, "[[["); return hang()'),
    forged('headers that are not UTF-8', 'frame(68, 1, [1, 200, 0, ...u32(2), 0xff, 0xfe]); return hang()'),
  ],
  'timing out during start-up': [
    { name: 'by a loop', layer: 'the host’s clock', code: '', before: 'for (;;);', loads: 'timed-out' },
    { name: 'by waiting', layer: 'the host’s clock', code: '', before: 'await new Promise(() => {});', loads: 'timed-out' },
    {
      name: 'not, but filling memory',
      layer: 'V8’s limit of the heap',
      code: '',
      before: 'const all = []; for (;;) all.push(new Array(1e5).fill({}));',
      loads: 'out-of-memory',
    },
    { name: 'not, but ending', layer: 'the host, which sees it end', code: '', before: 'Deno.exit(0);', loads: 'load-failed' },
    { name: 'not, but being no code', layer: 'the engine', code: '', before: 'this is not JavaScript', loads: 'load-failed' },
    {
      name: 'after a forged word that it is loaded',
      layer: 'the host, which checks every frame',
      code: '',
      before: 'Deno.stdout.writeSync(new Uint8Array([5,0,0,0,65,0,0,0,0])); for (;;);',
      loads: 'load-failed',
    },
  ],
  'huge output': [
    {
      name: 'an endless body',
      layer: 'the limit of an answer',
      code: 'return new Response(new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(65536)) } }))',
      outcome: 'response-too-large',
      error: /more than \d+ bytes/,
    },
    {
      name: 'a thousand headers',
      layer: 'the limits of headers',
      code: 'const h = new Headers(); for (let i = 0; i < 1000; i++) h.append("x-" + i, "1"); return new Response("", { headers: h })',
      outcome: 'bad-response',
      error: /100/,
    },
    {
      name: 'headers of a megabyte',
      layer: 'the limits of headers',
      code: 'return new Response("", { headers: { big: "x".repeat(1e6) } })',
      outcome: 'bad-response',
      error: /./,
    },
  ],
  'hostile output': [
    {
      name: 'a throw of something unspeakable',
      layer: 'the harness',
      code: 'throw { get message() { throw 1 }, toString() { throw 2 } }',
      error: /./,
    },
    {
      name: 'a result that lies about itself',
      layer: 'the harness',
      code: 'return { toJSON() { throw new Error("no") } }',
      outcome: 'bad-response',
      error: /./,
    },
    {
      name: 'a result nested a hundred thousand deep',
      layer: 'nothing: it is bytes for the host',
      code: 'let deep = []; for (let i = 0; i < 1e5; i++) deep = [deep]; return deep',
      outcome: 'ok',
      says: /^\[{100001}\]{100001}$/,
    },
    {
      name: 'broken globals',
      layer: 'the harness, which keeps its own',
      before:
        'for (const p of [Array, Map, Promise, Uint8Array, String, JSON, TextEncoder, TextDecoder].flatMap((c) => [c, c.prototype])) if (p) for (const k of Reflect.ownKeys(p)) { if (k === "constructor" || k === "prototype" || k === Symbol.iterator || k === "next") continue; try { if (typeof p[k] === "function") p[k] = () => { throw new Error("broken") } } catch {} }',
      code: 'return 1',
      outcome: 'ok',
      says: /^1$/,
    },
    { name: 'the end of its own process', layer: 'the host, which sees it end', code: 'Deno.exit(3)', error: /code 3/ },
    { name: 'the end of its own process, Node’s way', layer: 'the host, which sees it end', code: 'process.exit(4)', error: /code 4/ },
    {
      name: 'a rejection that nobody handles',
      layer: 'the harness',
      code: 'Promise.reject(new Error("floating")); return hang()',
      error: /floating/,
    },
    {
      name: 'an error in a timer',
      layer: 'the harness',
      code: 'setTimeout(() => { throw new Error("later") }, 1); return hang()',
      error: /later/,
    },
  ],
  'zip bombs as request bodies': [
    {
      layer: 'the function’s own memory: the host never unfolds a body',
      test: 'a body that unfolds to gigabytes is the function’s own memory, and the host never unfolds it',
    },
  ],
  'work left behind after the answer': [
    {
      layer: 'freezing, and the clock of the next job',
      test: 'an endless loop left behind after the answer costs its own function a job and the process, and nobody else anything',
    },
    { layer: 'freezing', test: 'freezes an idle process, so that work left behind uses no CPU, and wakes it for the next job' },
  ],
  'another tenant’s data on a reused instance': [
    {
      layer: 'a process for each version and tenant',
      test: 'another tenant never gets a process that code has been in, whatever the version',
    },
  ],
  'a socket or files swapped for symlinks to the host’s':
    'The host follows no path of a function’s: the two have nothing but pipes between them, and a function has no place to write to.',
};
