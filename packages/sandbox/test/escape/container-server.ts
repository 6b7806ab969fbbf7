import type { Attempt, Column } from './tries.ts';

/**
 * A server that runs what its path says, with the socket of the one who asks: it may answer what no honest one would.
 * `FAIL`, `DEAF` and `ILL` in its environment spoil its start.
 */
export const hostileServer = `
import { createServer } from 'node:http';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { readFileSync, readdirSync, writeFileSync, symlinkSync } from 'node:fs';
const require = createRequire(import.meta.url);
const kept = { ill: process.env.ILL === 'yes', looked: 0 };
const ok = (body, more = '') => 'HTTP/1.1 200 OK\\r\\ncontent-length: ' + Buffer.byteLength(body) + '\\r\\n' + more + '\\r\\n' + body;
const drip = (socket, piece, every = 1) => { const timer = setInterval(() => socket.destroyed ? clearInterval(timer) : socket.write(piece), every); };
const pour = (socket, piece) => { const more = () => { while (!socket.destroyed && socket.write(piece)); }; socket.on('drain', more); more(); };
const attempt = (work) => { try { return String(work()); } catch (error) { return error.code ?? error.message; } };
const event = (target, well) => new Promise((resolve) => target.on(well, () => resolve('got ' + well)).on('error', (error) => resolve(error.code ?? error.message)));
const reply = (value, socket) => value === undefined || socket.write(ok(typeof value === 'string' ? value : JSON.stringify(value)));
const run = (code) => eval('(async (s, body) => {' + code + '})');
const paths = {
  '/fine': async () => 'fine',
  '/healthz': async (s) => { kept.looked++; s.end(kept.ill ? 'HTTP/1.1 503 Ill\\r\\ncontent-length: 0\\r\\n\\r\\n' : ok('well')); },
};
const listener = createServer(async (request) => {
  const { socket } = request;
  socket.on('error', () => {});
  const body = Buffer.concat(await request.toArray());
  const [path, code] = request.url.split('?');
  const work = path === '/run' ? run(decodeURIComponent(code)) : paths[path];
  try { reply(await work(socket, body), socket); } catch (error) { reply('stopped ' + (error.code ?? error.message), socket); }
});
if (process.env.FAIL) { console.error(process.env.FAIL); process.exit(9); }
if (!process.env.DEAF) listener.listen(Number(process.env.PORT), '127.0.0.1');
setInterval(() => {}, 1e6);
`;

/** Where the server runs a piece of code. */
export const pathOf = (code: string): string => `/run?${encodeURIComponent(code)}`;

const own = 'a file system of its own';
const none = 'no network';
const got = (name: string, layer: string, code: string, says: RegExp): Attempt => ({ name, layer, code, outcome: 'ok', says });
const clock = (code: string, name?: string, timeoutMs = 300): Attempt => ({
  ...(name !== undefined && { name }),
  layer: 'the host’s clock',
  code,
  outcome: 'timed-out',
  error: /did not answer within \d+ ms/,
  timeoutMs,
});
const bad = (name: string, code: string, error = /\w{3}/): Attempt => ({
  name,
  layer: 'the helper, which reads HTTP, and the host, which checks its frames',
  code,
  outcome: 'bad-response',
  error,
});
const ended = (name: string | undefined, layer: string, code: string): Attempt => ({
  ...(name !== undefined && { name }),
  layer,
  code,
  outcome: /out-of-memory|function-failed/,
  error: /memory|closed the connection|ended/,
});

/** A Node server in a container that is kept warm. */
export const containerServer: Column = {
  files: [
    got(
      'written',
      'the read-only root, and an own user',
      'return ["/x", "/server.mjs", "/etc/x", "/proc/sys/kernel/core_pattern"].map((path) => attempt(() => writeFileSync(path, "x")))',
      /^\["(EROFS|EACCES)","(EROFS|EACCES)","(EROFS|EACCES)","(EROFS|EACCES)"\]$/,
    ),
    got(
      'of disks and memory',
      'no devices',
      'return readdirSync("/dev").filter((name) => /^(sd|vd|nvme|mem|kmem|kmsg|fuse|dri)/.test(name))',
      /^\[\]$/,
    ),
    { layer: 'nothing of the host’s in it', test: 'has nothing of the host’s in its file system that it could swap for something else' },
  ],
  symlinks: [
    got(
      'to files of the host',
      own,
      'return ["/var/run/docker.sock", "/etc/shadow", "/home"].map((to, i) => { symlinkSync(to, "/tmp/l" + process.hrtime.bigint()); return attempt(() => readFileSync(to)) })',
      /^\["ENOENT","ENOENT","ENOENT"\]$/,
    ),
  ],
  environment: [
    got(
      'read',
      'an environment of its own',
      'return Object.keys(process.env).sort().join(" ")',
      /^HOSTNAME (HOME )?PATH PORT$|^HOME HOSTNAME PATH PORT$/,
    ),
  ],
  'other processes': [
    got(
      'listed',
      'a process tree of its own',
      'return readdirSync("/proc").filter((n) => +n > 0).map((n) => attempt(() => readFileSync("/proc/" + n + "/cmdline")))',
      /^(?![^]*(vitest|dockerd|containerd))/,
    ),
    { layer: 'a user of its own', test: 'cannot look into the helper, signal it, or follow it to the host' },
  ],
  signals: [
    got('to what is not its own', 'a user of its own', 'return attempt(() => process.kill(1, 9))', /^EPERM$/),
    { layer: 'a user of its own', test: 'cannot look into the helper, signal it, or follow it to the host' },
  ],
  'TCP sockets': [
    got('to the internet', none, 'return event(require("net").connect(80, "1.1.1.1"), "connect")', /^(ENETUNREACH|EACCES)$/),
    got('to the engine’s host', none, 'return event(require("net").connect(2375, "172.17.0.1"), "connect")', /^(ENETUNREACH|EACCES)$/),
  ],
  'UDP sockets': [
    got(
      'to the internet',
      none,
      'const u = require("dgram").createSocket("udp4"); return new Promise((y) => u.send("x", 53, "1.1.1.1", (e) => y(e ? e.code : "sent")))',
      /^(ENETUNREACH|EACCES)$/,
    ),
  ],
  'unix sockets': [got('the engine’s', own, 'return event(require("net").connect("/var/run/docker.sock"), "connect")', /^ENOENT$/)],
  DNS: [
    got(
      'asked',
      none,
      'return require("dns/promises").lookup("example.com").then(() => "answered", (e) => e.code)',
      /^(EAI_AGAIN|ENOTFOUND)$/,
    ),
  ],
  'other programs': [
    got(
      'that it has written',
      'noexec on what can be written',
      'writeFileSync("/tmp/echo", readFileSync("/bin/busybox"), { mode: 0o755 }); return event(spawn("/tmp/echo", ["escaped"]), "spawn")',
      /^EACCES$/,
    ),
  ],
  'a fork bomb': [
    got(
      'counted',
      'the limit of processes',
      'const all = Array.from({ length: 300 }, () => spawn("/bin/sleep", ["100"])); const ends = await Promise.all(all.map((one) => event(one, "spawn"))); for (const one of all) one.kill("SIGKILL"); return [...new Set(ends)].sort()',
      /EAGAIN/,
    ),
    { layer: 'the limit of processes', test: 'that forks without an end is bounded, and others are served' },
  ],
  'native code (FFI)': [
    got(
      'system calls of its own',
      'the engine’s seccomp filter, no capabilities',
      'return readFileSync("/proc/self/status", "utf8").match(/^(Seccomp|CapBnd|NoNewPrivs):\\s*\\S+/gm).join(" ").replaceAll("\\t", " ")',
      /^CapBnd: 0+ NoNewPrivs: 1 Seccomp: 2$/,
    ),
  ],
  WebGPU: [
    got(
      'a graphics card',
      'no devices',
      'return ["/dev/dri", "/dev/nvidia0", "/dev/kfd"].map((path) => attempt(() => readdirSync(path)))',
      /^\["ENOENT","ENOENT","ENOENT"\]$/,
    ),
  ],
  'localStorage and caches': [
    got(
      'kept on disk',
      'the sized tmpfs',
      'return attempt(() => { for (let i = 0; i < 100; i++) writeFileSync("/tmp/big" + i, Buffer.alloc(1 << 20)) }) + attempt(() => { for (const n of readdirSync("/tmp")) if (n.startsWith("big")) require("fs").unlinkSync("/tmp/" + n) })',
      /^ENOSPC/,
    ),
  ],
  workers: [
    ended(
      'by the hundred',
      'the limits of memory and of processes',
      'for (let i = 0; i < 300; i++) new (require("worker_threads").Worker)("const a=[];for(;;)a.push(new Array(1e4).fill(1))", { eval: true, resourceLimits: { maxOldGenerationSizeMb: 4096 } }).on("error", () => process.abort())',
    ),
  ],
  'the inspector': [
    got(
      'opened',
      'a network of its own, which nobody reaches',
      'require("inspector").open(0, "0.0.0.0"); const url = require("inspector").url(); require("inspector").close(); return [url.slice(0, 12), Object.keys(require("os").networkInterfaces())]',
      /^\["ws:\/\/0\.0\.0\.0",\["lo"\]\]$/,
    ),
  ],
  'a heap bomb': [ended('of objects', 'the limit of memory', 'const all = []; for (;;) all.push(new Array(1e4).fill({}))')],
  'an ArrayBuffer bomb': [ended('of many', 'the limit of memory', 'const all = []; for (;;) all.push(Buffer.alloc(1e7, 1))')],
  'a WASM memory bomb': [
    ended(
      'of many memories',
      'the limit of memory',
      'const all = []; for (;;) { const m = new WebAssembly.Memory({ initial: 1000 }); new Uint8Array(m.buffer).fill(1); all.push(m) }',
    ),
  ],
  'an endless loop, synchronous': [clock('for (;;);')],
  'an endless loop, asynchronous': [
    clock('for (;;) await new Promise(setImmediate)'),
    clock('return new Promise(() => {})', 'an answer that never comes'),
  ],
  'an endless loop of microtasks': [clock('for (;;) await null')],
  'an endless regular expression': [clock('return String(/^(a+)+$/.test("a".repeat(50) + "!"))')],
  'floods of output': [
    {
      layer: 'the engine’s stream, which the host reads no faster than it can',
      test: 'may print without an end: it waits, and others are served',
    },
    {
      name: 'an endless body',
      layer: 'the limit of an answer',
      code: 's.write("HTTP/1.1 200 OK\\r\\n\\r\\n"); pour(s, Buffer.alloc(65536))',
      outcome: 'response-too-large',
      error: /more than \d+ bytes/,
    },
    clock('s.write("HTTP/1.1 200 OK\\r\\n\\r\\n"); drip(s, "x")', 'a body by drops'),
    clock('pour(s, "HTTP/1.1 100 Continue\\r\\n\\r\\n")', 'words before the answer', 500),
  ],
  'forged frames on standard output': [
    got(
      'of the helper',
      'a standard output of its own, which is the log',
      'process.stdout.write(Buffer.from([5, 0, 0, 0, 68, 1, 0, 0, 0])); return "fine"',
      /^fine$/,
    ),
    { layer: 'the helper, which takes one answer for one request', test: 'cannot give a second answer to the next caller' },
  ],
  'giant frames': [
    bad('one header', 's.write("HTTP/1.1 200 OK\\r\\nx: " + "x".repeat(1e6) + "\\r\\n\\r\\n")', /overflow/i),
    bad('a large header', 's.write(ok("x", "x: " + "x".repeat(20000) + "\\r\\n"))', /16384|large/),
    bad('many headers', 's.write(ok("x", Array.from({ length: 500 }, (_, i) => "x-" + i + ": 1\\r\\n").join("")))', /100/),
    bad('headers without end', 's.write("HTTP/1.1 200 OK\\r\\n"); pour(s, "x: y\\r\\n".repeat(100))'),
    bad('a huge length', 's.write("HTTP/1.1 200 OK\\r\\ncontent-length: 99999999999999999999\\r\\n\\r\\nx")'),
    bad('a huge chunk', 's.write("HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\nfffffffffffffffff\\r\\nx")'),
    bad(
      'a chunk’s extension without end',
      's.write("HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n5;"); pour(s, "x".repeat(10000))',
    ),
    bad(
      'trailers without end',
      's.write("HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n0\\r\\n"); pour(s, "x: y\\r\\n".repeat(100))',
    ),
  ],
  'malformed frames': [
    bad('no HTTP', 's.end("this is no HTTP at all, is it?\\r\\n\\r\\n")', /no HTTP/),
    bad('bytes', 's.end(Buffer.alloc(5000, 0xff))'),
    bad('a NUL in a header', 's.write("HTTP/1.1 200 OK\\r\\nx: a\\0b\\r\\ncontent-length: 0\\r\\n\\r\\n")'),
    bad('a bare line feed', 's.write("HTTP/1.1 200 OK\\r\\nx: a\\nset-cookie: b\\r\\ncontent-length: 0\\r\\n\\r\\n")'),
    bad('two lengths', 's.write("HTTP/1.1 200 OK\\r\\ncontent-length: 1\\r\\ncontent-length: 2\\r\\n\\r\\nxx")'),
    bad(
      'a length and chunks',
      's.write("HTTP/1.1 200 OK\\r\\ncontent-length: 1\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n")',
    ),
    bad('a negative length', 's.write("HTTP/1.1 200 OK\\r\\ncontent-length: -5\\r\\n\\r\\nx")'),
    bad('status 99', 's.write("HTTP/1.1 099 No\\r\\ncontent-length: 0\\r\\n\\r\\n")'),
    bad('status 999', 's.write("HTTP/1.1 999 No\\r\\ncontent-length: 0\\r\\n\\r\\n")'),
    bad('another protocol', 's.write("HTTP/1.1 101 Switching Protocols\\r\\nupgrade: x\\r\\nconnection: upgrade\\r\\n\\r\\nraw")'),
    {
      ...bad('a short body', 's.end("HTTP/1.1 200 OK\\r\\ncontent-length: 100\\r\\n\\r\\nshort")', /before its answer was complete/),
      outcome: 'function-failed',
    },
    { ...bad('nothing', 's.destroy()', /closed the connection/), outcome: 'function-failed' },
  ],
  'timing out during start-up': [
    { layer: 'the host’s clock', test: 'is given up when it does not listen in time' },
    { layer: 'the health check', test: 'takes no call before it is well, and says what is wrong where it never is' },
    { layer: 'the host, which sees it end', test: 'fails with its own last words' },
  ],
  'huge output': [{ layer: 'the watch over the disk', test: 'that unfold to more than is left are stopped, and leave nothing' }],
  'hostile output': [
    got('that speaks to terminals', 'the host, which takes bytes for bytes', 'return "\\u001b[2Jcleared"', /cleared/),
    { layer: 'the helper, which takes one answer for one request', test: 'cannot give a second answer to the next caller' },
  ],
  'zip bombs as request bodies': [
    {
      ...ended(
        'unfolded',
        'the host and the helper, which unfold nothing, and the limit of memory',
        'return String(require("zlib").gunzipSync(body).length)',
      ),
      bomb: true,
    },
  ],
  'work left behind after the answer': [
    { layer: 'freezing', test: 'gets no processor after its last answer: it is frozen until the next call' },
  ],
  'another tenant’s data on a reused instance': [
    { layer: 'a container for each version and tenant', test: 'sees nothing of another tenant' },
  ],
  'a socket or files swapped for symlinks to the host’s': [
    {
      layer: 'nothing of the host’s in it, and a helper beside it that sees nothing else',
      test: 'has nothing of the host’s in its file system that it could swap for something else',
    },
    got(
      'its listening socket, after it began to serve',
      'an empty network, in place of a socket file',
      'symlinkSync("/var/run/docker.sock", "/tmp/app" + process.hrtime.bigint() + ".sock"); return "fine"',
      /^fine$/,
    ),
  ],
};
